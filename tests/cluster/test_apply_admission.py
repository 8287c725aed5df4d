"""The admission policies of the platform, as the API server evaluates them: dry runs with all of admission.

The guard of the agent's namespace is tried with one field of the agent's own pod changed at a time; injection with pods
of the services. Nothing is started, so what an injected agent does is not shown here.
"""

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from environments import Environment
from platform_client import Platform, compiles

from flameplane.local.kubectl import Object
from schemas.allowed import AGENT_CAPABILITIES, AGENT_NAMESPACE, BREAK_GLASS_GROUP

GUARD = "flameplane-node-guard"
Change = Callable[[dict[str, Any]], Any]  # of a pod's spec


# -- the guard of the agent's namespace ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def agent_pod(platform: Platform) -> Object:
    """A pod as the DaemonSet controller makes it."""
    daemon_set = platform.get("daemonset", "flameplane-node", f"--namespace={AGENT_NAMESPACE}")
    template = daemon_set["spec"]["template"]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "flameplane-node", "controller": True}
    owner["uid"] = daemon_set["metadata"]["uid"]  # pods without a controller are refused by another guard
    metadata = {**template["metadata"], "name": "tried", "namespace": AGENT_NAMESPACE, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def container(spec: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [c for c in (*spec["initContainers"], *spec["containers"]) if c["name"] == name]
    return found


def more(name: str) -> Change:
    """One capability more than the container is allowed: the next of the three, or one that nobody has."""
    extra = next(c for c in ("PERFMON", "BPF", "SYS_PTRACE") if c not in AGENT_CAPABILITIES[name])

    def change(spec: dict[str, Any]) -> None:
        container(spec, name)["securityContext"].setdefault("capabilities", {}).setdefault("add", []).append(extra)

    return change


def security(name: str, **fields: Any) -> Change:
    return lambda spec: container(spec, name)["securityContext"].update(fields)


def pod_field(**fields: Any) -> Change:
    return lambda spec: spec.update(fields)


def host_path(path: str) -> Change:
    return lambda spec: spec["volumes"].append({"name": "more", "hostPath": {"path": path}})


def sidecar(spec: dict[str, Any]) -> None:
    spec["containers"].append({**copy.deepcopy(container(spec, "receiver")), "name": "sidecar"})


# Change -> what the refusal has to say.
REFUSED: dict[str, tuple[Change, str]] = {
    **{f"{name}: one capability more": (more(name), "capability not allowed") for name in AGENT_CAPABILITIES},
    **{
        f"{name}: privileged": (security(name, privileged=True, allowPrivilegeEscalation=True), "is privileged")
        for name in AGENT_CAPABILITIES
    },
    "agent: keeps what the runtime gives": (security("agent", capabilities={"add": ["PERFMON"]}), "drops ALL"),
    "agent: another user": (security("agent", runAsUser=0), "agent as"),
    "agent: RuntimeDefault instead of its own profile": (
        security("agent", seccompProfile={"type": "RuntimeDefault"}),
        "runs under",
    ),
    "receiver: unconfined": (security("receiver", seccompProfile={"type": "Unconfined"}), "runs under"),
    "receiver: may gain rights": (security("receiver", allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
    "receiver: may write to its image": (security("receiver", readOnlyRootFilesystem=False), "read-only"),
    "hostPID": (pod_field(hostPID=True), "hostPID"),
    "hostNetwork": (pod_field(hostNetwork=True), "hostNetwork"),
    "hostIPC": (pod_field(hostIPC=True), "hostIPC"),
    "shared processes": (pod_field(shareProcessNamespace=True), "shareProcessNamespace"),
    "another service account": (pod_field(serviceAccountName="default"), "service account"),
    "the node's root": (host_path("/"), "volumes are"),
    "the node's containers": (host_path("/run/containerd"), "volumes are"),
    "a container more": (sidecar, "containers are"),
    "another image": (
        lambda spec: container(spec, "agent").update(image="localhost/flameplane/other:local"),
        "images are",
    ),
}


def test_the_agents_own_pod_is_accepted(platform: Platform, agent_pod: Object) -> None:
    spec = platform.created(agent_pod)["spec"]
    assert [c["name"] for c in spec["containers"]] == ["agent", "receiver"]


@pytest.mark.parametrize("change", REFUSED)
def test_a_pod_that_asks_for_more_is_refused(platform: Platform, agent_pod: Object, change: str) -> None:
    apply, said = REFUSED[change]
    pod = copy.deepcopy(agent_pod)
    apply(pod["spec"])
    result = platform.try_create(pod)
    assert not result.ok
    assert f"ValidatingAdmissionPolicy '{GUARD}'" in result.err
    assert said in result.err


def test_no_container_is_put_into_a_running_agent(platform: Platform, agent_pod: Object) -> None:
    arguments = ("pods", f"--namespace={AGENT_NAMESPACE}", "--selector=app.kubernetes.io/name=flameplane-node")
    running = platform.kubectl.get(*arguments, doing="find the agent's pod")[0]
    name = running["metadata"]["name"]
    running["spec"]["ephemeralContainers"] = [
        {"name": "debugger", "image": container(agent_pod["spec"], "agent")["image"]}
    ]
    path = f"/api/v1/namespaces/{AGENT_NAMESPACE}/pods/{name}/ephemeralcontainers?dryRun=All"
    # As one who may everywhere else in the platform (components/platform_guard.py): here nobody may.
    incident = ("--as=jane", f"--as-group={BREAK_GLASS_GROUP}", "--as-group=system:masters")
    result = platform.replace_raw(path, running, *incident)
    assert not result.ok
    assert f"ValidatingAdmissionPolicy '{GUARD}'" in result.err
    assert "ephemeral" in result.err


def test_the_guard_holds_the_agents_namespace_and_no_other(platform: Platform, agent_pod: Object) -> None:
    pod = copy.deepcopy(agent_pod)
    pod["metadata"]["namespace"] = "default"
    pod["spec"]["serviceAccountName"] = "default"
    platform.created(pod)


def test_the_expressions_compile(platform: Platform) -> None:
    compiles(platform, GUARD)


# -- injection -----------------------------------------------------------------------------------------------------

INJECTED = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
SETTLE = 30  # seconds at most until the API server acts on new policies


@pytest.fixture(scope="module")
def injection(platform: Platform, environment_of: Callable[[str], Environment]) -> Iterator[Environment]:
    """Injection as prod has it once its images are locked, beside the platform's own policies and under other names."""
    environment = environment_of("prod with all images")
    objects = []
    for item in environment.manifests:
        parameters = item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith("inject-")
        if item["kind"] in INJECTED or parameters:
            objects.append(renamed(item))
    assert {item["kind"] for item in objects} == {*INJECTED, "ConfigMap"}
    namespaces = {s.spec.workload.namespace for s in environment.catalog.services if s.injected}
    present = {item["metadata"]["name"] for item in platform.kubectl.get("namespaces", doing="list namespaces")}
    objects[:0] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(namespaces - present)
    ]
    applied = platform.call("apply", "--server-side", "--field-manager=test", objects=objects)
    assert applied.ok, applied.err
    try:
        service = next(s for s in environment.catalog.services if s.injected)
        deadline = time.monotonic() + SETTLE
        while not copier(platform.created(pod_of(service))):
            assert time.monotonic() < deadline, "the policies do not act"
            time.sleep(0.5)
        yield environment
    finally:
        platform.call("delete", "--ignore-not-found", "--wait=false", objects=objects)


def renamed(item: Object) -> Object:
    """The same under a name of the test's own, with its references."""
    changed = copy.deepcopy(item)
    changed["metadata"]["name"] += "-tried"
    if item["kind"] == "MutatingAdmissionPolicyBinding":
        changed["spec"]["policyName"] += "-tried"
        changed["spec"]["paramRef"]["name"] += "-tried"
    return changed


def pod_of(service: Any, **spec: Any) -> Object:
    """A pod of a service as Pod Security `restricted` wants it."""
    main = {
        "name": "main",
        "image": "localhost/x:1",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **spec.pop("container", {}),
    }
    restricted = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    metadata = {
        "name": "tried",
        "namespace": service.spec.workload.namespace,
        "labels": dict(service.spec.workload.selector),
        "annotations": spec.pop("annotations", {}),
    }
    spec = {"securityContext": restricted, "containers": [main], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def copier(pod: Object) -> Object | None:
    """The init container that brings the agent, if there is one."""
    found = [c for c in pod["spec"].get("initContainers", []) if c["name"] == "flameplane-inject"]
    assert len(found) <= 1
    return found[0] if found else None


def environment(pod: Object) -> dict[str, str]:
    (main,) = [c for c in pod["spec"]["containers"] if c["name"] == "main"]
    return {e["name"]: e.get("value", "") for e in main.get("env", [])}


HOOKS = {"java": "JAVA_TOOL_OPTIONS", "node": "NODE_OPTIONS", "python": "PYTHONPATH"}


def test_every_service_that_asks_for_an_agent_gets_its_own(platform: Platform, injection: Environment) -> None:
    languages = set()
    for service in injection.catalog.services:
        pod = platform.created(pod_of(service))
        brought = copier(pod)
        assert bool(brought) == service.injected, service.name
        if not brought:
            assert environment(pod) == {}
            continue
        language = service.spec.language.name
        languages.add(language)
        assert brought["image"] == injection.lock.reference(f"inject-{language}", injection.settings.images.registry)
        assert "@sha256:" in brought["image"]
        assert brought["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        given = environment(pod)
        assert "/flameplane" in given[HOOKS[language]]
        assert service.name in given.values()
    assert languages == set(HOOKS)


def of(injection: Environment, language: str) -> Any:
    return next(s for s in injection.catalog.services if s.injected and s.spec.language.name == language)


def test_other_pods_are_left_alone(platform: Platform, injection: Environment) -> None:
    service = of(injection, "java")
    stranger = pod_of(service)
    stranger["metadata"]["labels"] = {"app": "stranger"}
    elsewhere = pod_of(service)
    elsewhere["metadata"]["namespace"] = "default"
    opted_out = pod_of(service, annotations={"flameplane.dev/inject": "false"})
    for pod in (stranger, elsewhere, opted_out):
        stored = platform.created(pod)
        assert copier(stored) is None
        assert environment(stored) == {}


def test_what_the_application_set_stays(platform: Platform, injection: Environment) -> None:
    env = [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx64m"}, {"name": "PYROSCOPE_FORMAT", "value": "mine"}]
    pod = platform.created(pod_of(of(injection, "java"), container={"env": env}))
    assert environment(pod)["JAVA_TOOL_OPTIONS"].startswith("-Xmx64m -javaagent:")
    assert environment(pod)["PYROSCOPE_FORMAT"] == "mine"


def test_a_hook_that_cannot_be_read_is_not_touched(platform: Platform, injection: Environment) -> None:
    reference = {"configMapKeyRef": {"name": "c", "key": "k"}}
    env = [{"name": "NODE_OPTIONS", "valueFrom": reference}]
    pod = platform.created(pod_of(of(injection, "node"), container={"env": env}))
    (main,) = pod["spec"]["containers"]
    assert main["env"] == env


def test_an_open_image_is_injected_nowhere(platform: Platform) -> None:
    """Environment local, where no agent's image is locked: the policies are there, and point at no pod."""
    members = platform.members()
    assert [name for name in members if name.startswith("MutatingAdmissionPolicy ")]
    bindings = [name for name in members if name.startswith("MutatingAdmissionPolicyBinding ")]
    assert bindings == ["MutatingAdmissionPolicyBinding flameplane-inject-anchor"]
