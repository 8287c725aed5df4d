"""The guards of the platform's namespaces, and the corpus of the policy pack, as the API server judges them.

Everything is a dry run or refused before it begins. The fixtures under tests/policies/ are those by which the rules in
Python are judged: what a rule refuses and an admission policy covers, the API server refuses too.
"""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
from platform_client import BROKEN_GLASS, Platform, compiles, ways

from flameplane.local.kubectl import Object
from policies.objects import POD_PATHS, at
from schemas.allowed import (
    ACCESS_NAMESPACE,
    AGENT_CAPABILITIES,
    AGENT_NAMESPACE,
    BACKEND_NAMESPACE,
    NAMESPACES,
    PAST_THE_GATEWAY,
)

sys.path.append(str(Path(__file__).resolve().parents[1] / "policies"))
from corpus import Fixture, fixtures

ACCESS, LEVEL, WORKLOADS = (f"flameplane-{what}-guard" for what in ("access", "namespace", "workload"))


def refused(text: str, guard: str) -> bool:
    return f"ValidatingAdmissionPolicy '{guard}'" in text


# -- ways past the gateway -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", PAST_THE_GATEWAY)
def test_no_way_leads_past_the_gateway(platform: Platform, a_pod: str, way: str) -> None:
    result = platform.call("--request-timeout=20s", *ways(a_pod)[way])
    assert not result.ok
    assert refused(result.err, ACCESS), result.err


@pytest.mark.parametrize("way", ["pods/exec", "pods/proxy", "services/proxy"])
def test_in_an_incident_the_way_is_open(platform: Platform, a_pod: str, way: str) -> None:
    """Whether the program answers is another matter: the guard lets it through."""
    result = platform.call("--request-timeout=20s", *BROKEN_GLASS, *ways(a_pod)[way])
    assert not refused(result.err, ACCESS), result.err


def test_elsewhere_the_guard_says_nothing(platform: Platform) -> None:
    result = platform.call("--request-timeout=20s", "exec", "--namespace=default", "no-such-pod", "--", "true")
    assert not refused(result.err, ACCESS), result.err


def test_no_ephemeral_container_gets_into_the_backend(platform: Platform, a_pod: str) -> None:
    pod = platform.get("pod", a_pod, f"--namespace={BACKEND_NAMESPACE}")
    pod["spec"]["ephemeralContainers"] = [
        {
            "name": "debugger",
            "image": "localhost/x:1",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
    ]
    path = f"/api/v1/namespaces/{BACKEND_NAMESPACE}/pods/{a_pod}/ephemeralcontainers?dryRun=All"
    result = platform.replace_raw(path, pod)
    assert not result.ok and refused(result.err, ACCESS), result.err


# -- what runs -------------------------------------------------------------------------------------------------------


def deployment(kind: str = "Deployment", namespace: str = BACKEND_NAMESPACE, **labels: str) -> Object:
    chosen = {"app": "more"}
    container = {
        "name": "more",
        "image": "localhost/x:1",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec: dict[str, Any] = {
        "selector": {"matchLabels": chosen},
        "template": {"metadata": {"labels": chosen}, "spec": {"containers": [container]}},
    }
    metadata = {"name": "more", "namespace": namespace, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


OURS = {"app.kubernetes.io/part-of": "flameplane"}


def test_only_our_workloads_run_here(platform: Platform) -> None:
    platform.created(deployment(**OURS))
    platform.created(deployment(namespace="default"))
    platform.created(deployment("DaemonSet", AGENT_NAMESPACE, **OURS))
    strange = (deployment(), deployment("DaemonSet", **OURS), deployment("ReplicaSet", **OURS))
    for item in strange:
        result = platform.try_create(item)
        assert not result.ok and refused(result.err, WORKLOADS), (item["kind"], result.err)


def test_no_pod_is_made_by_hand(platform: Platform) -> None:
    template = deployment()["spec"]["template"]
    restricted = {"runAsNonRoot": True, "runAsUser": 10005, "seccompProfile": {"type": "RuntimeDefault"}}
    metadata = {"name": "more", "namespace": BACKEND_NAMESPACE, "labels": OURS}
    spec = {**template["spec"], "securityContext": restricted}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    result = platform.try_create(pod)
    assert not result.ok and refused(result.err, WORKLOADS), result.err
    made = {**pod, "metadata": {**metadata, "ownerReferences": [owner("StatefulSet")]}}
    platform.created(made)


def owner(kind: str) -> dict[str, Any]:
    uid = "00000000-0000-0000-0000-000000000000"
    return {"apiVersion": "apps/v1", "kind": kind, "name": "more", "uid": uid, "controller": True}


@pytest.mark.parametrize("guard", [ACCESS, LEVEL, WORKLOADS])
def test_the_expressions_compile(platform: Platform, guard: str) -> None:
    compiles(platform, guard)


# -- the corpus of the rules -----------------------------------------------------------------------------------------

AGENT_RULES = ("FP001", "FP002", "FP003", "FP015")
# What no pod shows, since it is the DaemonSet's, or what another component of the cluster refuses.
NOT_OF_A_POD = {
    "FP002/fire/two-agents-during-an-update": "a field of the DaemonSet",
    "FP002/fire/old-programs-stay": "a field of the DaemonSet",
    "FP002/fire/no-loader": "an agent without its loader finds no pins and holds nothing more",
    "FP001/fire/agent-without-perfmon": "fewer capabilities than allowed",
    "FP003/fire/token-for-every-container": "the account's automountServiceAccountToken is false",
    "FP003/fire/apparmor-off-by-annotation": "the API server turns it into the field, or refuses both",
}


def agents(*, fires: bool) -> list[Fixture]:
    """Fixtures with an agent's DaemonSet in them, whatever the rule."""
    found = []
    for fixture in fixtures(fires=fires):
        if fixture.rule in AGENT_RULES and not fixture.of_prod:
            held = [m for m in fixture.documents if m["kind"] == "DaemonSet"]
            if held and at(held[0], "metadata", "namespace") == AGENT_NAMESPACE and str(fixture) not in NOT_OF_A_POD:
                found.append(fixture)
    return found


@pytest.fixture(scope="module")
def running(platform: Platform) -> dict[str, Any]:
    """What the pods of this cluster run as: the fixtures name another registry."""
    spec: dict[str, Any] = platform.get("daemonset", "flameplane-node", f"--namespace={AGENT_NAMESPACE}")["spec"]
    return spec["template"]["spec"]  # type: ignore[no-any-return]


def as_pod(fixture: Fixture, running: dict[str, Any]) -> Object:
    """The pod of the fixture's DaemonSet, with this cluster's images, account and seccomp profile."""
    daemon_set = next(m for m in fixture.documents if m["kind"] == "DaemonSet")
    template = copy.deepcopy(at(daemon_set, *POD_PATHS["DaemonSet"]))
    spec = template["spec"]
    spec["serviceAccountName"] = running["serviceAccountName"]
    known = {c["name"]: c for c in (*running["initContainers"], *running["containers"])}
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        if container["name"] in AGENT_CAPABILITIES:
            container["image"] = known[container["name"]]["image"]
            container["imagePullPolicy"] = "Never"
        profile = at(container, "securityContext", "seccompProfile") or {}
        if profile.get("type") == "Localhost":
            container["securityContext"]["seccompProfile"] = known["agent"]["securityContext"]["seccompProfile"]
    metadata = {
        **template.get("metadata", {}),
        "name": "tried",
        "namespace": AGENT_NAMESPACE,
        "ownerReferences": [owner("DaemonSet")],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("fixture", agents(fires=True), ids=str)
def test_what_a_rule_refuses_the_api_server_refuses(
    platform: Platform, running: dict[str, Any], fixture: Fixture
) -> None:
    result = platform.try_create(as_pod(fixture, running))
    assert not result.ok, "accepted"


@pytest.mark.parametrize("fixture", agents(fires=False), ids=str)
def test_what_no_rule_refuses_the_api_server_accepts(
    platform: Platform, running: dict[str, Any], fixture: Fixture
) -> None:
    platform.created(as_pod(fixture, running))


LEVELS = [f for fires in (True, False) for f in fixtures(fires=fires) if f.rule == "FP040"]


@pytest.mark.parametrize("fixture", LEVELS, ids=str)
def test_the_level_of_a_namespace_is_kept(platform: Platform, fixture: Fixture) -> None:
    """The same changes of a namespace that rule FP040 judges. What only warns or is logged keeps no pod out: that
    is the rule's alone."""
    described = fixture.of_prod
    assert described
    (change,) = described["change"]
    namespace = platform.get("namespace", change["in"].rpartition("/")[2])
    labels = namespace["metadata"]["labels"]
    for path, value in (change.get("set") or {}).items():
        labels[path.split('"')[1]] = value
    for path in change.get("drop") or ():
        del labels[path.split('"')[1]]
    refuses = fixture.fires and any(
        "/enforce" in path for path in (*(change.get("set") or ()), *change.get("drop", ()))
    )
    name = namespace["metadata"]["name"]
    result = platform.replace_raw(f"/api/v1/namespaces/{name}?dryRun=All", namespace)
    assert result.ok is not refuses, result.err
    if refuses:
        assert refused(result.err, LEVEL), result.err


def test_every_namespace_has_a_guard(platform: Platform) -> None:
    assert {ACCESS_NAMESPACE, AGENT_NAMESPACE, BACKEND_NAMESPACE} <= set(NAMESPACES)
    for guard in (ACCESS, LEVEL, WORKLOADS):
        binding = platform.get("validatingadmissionpolicybinding", guard)
        (expression,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert set(expression["values"]) == set(NAMESPACES)
