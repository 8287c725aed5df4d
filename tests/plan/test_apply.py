"""What `flameplane local up` decides by itself: order, what is removed, what is refused and how it says so, readiness.

Pure functions on objects as the API server gives them. That kubectl and the API server behave as assumed here is shown
by tests/cluster/test_apply_*.py.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flameplane.catalog.settings import stacks
from flameplane.local import applyset, changes, check, images, secrets
from flameplane.local.choice import Choice
from flameplane.local.kubectl import Kubectl, Object, Result
from flameplane.local.objects import Key, in_order, key
from flameplane.local.problem import Problem
from flameplane.local.readiness import judge
from flameplane.local.refusal import culprits, refusal
from flameplane.local.report import report
from local.cluster.progress import silent
from local.images import archive


def config_map(name: str, namespace: str = "a") -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def cluster_object(kind: str, name: str = "x", api: str = "v1") -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}}


# -- order and membership ------------------------------------------------------------------------------------------


def test_guards_stand_before_what_they_guard() -> None:
    admission = "admissionregistration.k8s.io/v1"
    daemon_set = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "namespace": "a"}}
    objects = [
        daemon_set,
        config_map("c"),
        cluster_object("ValidatingAdmissionPolicy", api=admission),
        cluster_object("MutatingAdmissionPolicyBinding", api=admission),
        cluster_object("Namespace", "a"),
    ]
    assert [item["kind"] for item in in_order(objects)] == [
        "Namespace",
        "ValidatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "ConfigMap",
        "DaemonSet",
    ]


def test_an_object_is_the_same_in_every_version_of_its_group() -> None:
    assert key(cluster_object("X", api="g/v1")) == key(cluster_object("X", api="g/v2"))
    assert key(config_map("c")).type == "configmap"
    assert Key("apps", "Deployment", "a", "b").type == "deployment.apps"


def test_every_namespace_has_a_set_and_its_id_is_what_kubectl_computes() -> None:
    assert applyset.set_of(key(config_map("c", "payments"))) == "namespace-payments"
    assert applyset.set_of(key(cluster_object("Namespace", "payments"))) == "cluster"
    # As kubectl 1.36.3 accepts it on the parent object; it refuses any other value.
    assert applyset.identity("cluster") == "applyset-d92X_mjGpYqP4QIzeczr7cw553XUxTlMXcOcpC3YcRQ-v1"


def test_changes_are_told_from_what_every_write_touches() -> None:
    def live(name: str, value: str, version: str) -> Object:
        item = config_map(name)
        item["metadata"] |= {"resourceVersion": version, "managedFields": [version]}
        return {**item, "data": {"k": value}, "status": {"seen": version}}

    members = {key(item): item for item in (live("same", "v", "1"), live("other", "v", "1"), live("gone", "v", "1"))}
    after = {key(item): item for item in (live("same", "v", "2"), live("other", "w", "1"), live("new", "v", "1"))}
    found = changes.compare(after, members, (key(config_map("gone")),))
    assert str(found) == "1 created, 1 changed, 1 unchanged, 1 removed"
    assert found.changed == (key(config_map("other")),)


# -- refusals ------------------------------------------------------------------------------------------------------

CONFLICT = """error: Apply failed with 2 conflicts: conflicts with "kubectl-edit" using apps/v1:
- .spec.replicas
- .spec.paused
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
"""
UNKNOWN_FIELD = (
    'error: error validating "STDIN": error validating data: ValidationError(ConfigMap): unknown field "dta" in '
    "io.k8s.api.core.v1.ConfigMap; if you choose to ignore these errors, turn validation off with --validate=false\n"
)


def test_a_conflict_names_object_fields_and_who_holds_them(root: Path) -> None:
    problem = refusal([(Key("apps", "Deployment", "a", "d"), CONFLICT)])
    assert problem.text(root).splitlines() == [
        "Fields that the program sets were changed on the cluster by kubectl-edit: [LOC007]",
        '     Deployment a/d: Apply failed with 2 conflicts: conflicts with "kubectl-edit" using apps/v1:',
        "     - .spec.replicas",
        "     - .spec.paused",
        "   fix: undo that change, or run it again with --force-conflicts to set the declared values",
    ]


def test_a_refused_object_is_named_without_kubectls_advice_to_skip_the_check() -> None:
    problem = refusal([(key(config_map("c")), UNKNOWN_FIELD)])
    assert problem.ident == "LOC006"
    assert problem.details == (
        'ConfigMap a/c: ValidationError(ConfigMap): unknown field "dta" in io.k8s.api.core.v1.ConfigMap',
    )


def test_the_objects_at_fault_are_found_in_a_refused_batch() -> None:
    objects = [config_map(f"c{i}") for i in range(20)]
    bad, sizes = {"c3", "c17"}, []

    def send(some: Sequence[Object]) -> Result:
        sizes.append(len(some))
        ok = not bad & {item["metadata"]["name"] for item in some}
        return Result(ok, "", "" if ok else "error: no")

    assert [name for name, _ in culprits(objects, send)] == [key(config_map("c3")), key(config_map("c17"))]
    assert len(sizes) < 20  # by halving, not one by one


def test_a_lost_connection_is_blamed_on_no_object() -> None:
    said = "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?"
    assert culprits([config_map("c")], lambda _: Result(False, "", said)) == []


@pytest.mark.parametrize("stack", sorted({*stacks(Path(__file__).parents[2])} - {"local"}))
def test_only_environment_local_is_applied(root: Path, stack: str) -> None:
    with pytest.raises(Problem) as raised:
        check.settings(root, stack)
    assert raised.value.ident == "LOC002"
    assert f"pulumi up -s {stack}" in raised.value.fix


def test_an_empty_services_folder_stops_before_the_program_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("_org.yaml", "platform/_team.yaml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes((root / "services" / file).read_bytes())
    monkeypatch.setenv("FLAMEPLANE_SERVICES", str(tmp_path))
    monkeypatch.setattr(check.plan, "record", lambda *_: pytest.fail("the program ran"))
    with pytest.raises(Problem) as raised:
        check.declared(root, "local", yes_prune=False, say=print)
    assert raised.value.ident == "LOC003"


@pytest.mark.parametrize(
    "given", [{"kubeconfig": Path("k")}, {"context": "c"}, {"kind": True, "kubeconfig": Path("k"), "context": "c"}]
)
def test_an_existing_cluster_is_named_completely_or_not_at_all(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="--context"):
        Choice(**given)


# -- secrets -------------------------------------------------------------------------------------------------------


def recorder(folder: Path, output: str = "") -> Kubectl:
    """A program in place of kubectl that writes down its arguments, input and environment."""
    program = folder / "kubectl"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {folder}/argv\nenv >> {folder}/env\ncat >> {folder}/stdin\n"
        f"printf '%s' '{output}'\n"
    )
    program.chmod(0o755)
    return Kubectl(program, folder / "kubeconfig", "here", folder / "cache")


def test_keys_reach_the_api_server_by_standard_input_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert secrets.ensure(recorder(tmp_path), "object-storage", "profiles")
    sent = next(json.loads(line) for line in (tmp_path / "stdin").read_text().splitlines() if line)
    data = sent["items"][0]["data"]
    said = capfd.readouterr()
    for place in ((tmp_path / "argv").read_text(), (tmp_path / "env").read_text(), said.out, said.err):
        assert not any(value in place for value in data.values())
    assert set(data) == {"access-key", "secret-key", "s3.json"}


def test_an_existing_secret_is_left_alone(tmp_path: Path) -> None:
    assert not secrets.ensure(recorder(tmp_path, "secret/object-storage"), "object-storage", "profiles")
    assert "create" not in (tmp_path / "argv").read_text().split()


def test_every_cluster_gets_keys_of_its_own_for_one_bucket() -> None:
    first, second = secrets.secret("s", "profiles"), secrets.secret("s", "profiles")
    assert first["data"]["secret-key"] != second["data"]["secret-key"]
    assert all(action.endswith(":profiles") for action in secrets._identity("k", "s", "profiles")["actions"])


def test_kubectl_is_told_the_cluster_and_sees_nothing_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/of/the/user")
    recorder(tmp_path).run("get", "pods", doing="look")
    arguments = (tmp_path / "argv").read_text().splitlines()
    assert arguments[:3] == [f"--kubeconfig={tmp_path}/kubeconfig", "--context=here", f"--cache-dir={tmp_path}/cache"]
    environment = (tmp_path / "env").read_text().splitlines()
    assert not [line for line in environment if line.startswith("KUBECONFIG=")]
    assert "KUBERC=off" in environment


# -- readiness -----------------------------------------------------------------------------------------------------


def workload(kind: str = "Deployment", image: str = "i:local", **status: int) -> Object:
    template = {"spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "w", "namespace": "a", "generation": 2},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "w"}}, "template": template},
        "status": {"observedGeneration": 2, **status},
    }


def pod(ready: bool = False, **status: Any) -> Object:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}, *status.pop("conditions", [])]
    metadata = {"name": "w-1", "namespace": "a", "labels": {"app": "w"}}
    return {"kind": "Pod", "metadata": metadata, "status": {"conditions": conditions, **status}}


def container(state: dict[str, Any], last: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "state": state, "lastState": last or {}, "ready": False, **more}]}


RUNS = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}


def test_ready_is_what_runs_the_present_declaration() -> None:
    assert judge(workload(**RUNS), [pod(ready=True)], {}, True).verdict == "ready"
    # seen by the controller; the old pod not yet replaced; the old one still there beside the new one
    for other in ({"observedGeneration": 1}, {"updatedReplicas": 0}, {"replicas": 2}):
        assert judge(workload(**{**RUNS, **other}), [], {}, True).verdict == "waiting"
    daemon_set = {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberReady": 1}
    assert judge(workload("DaemonSet", **daemon_set), [], {}, True).verdict == "ready"
    assert judge(workload("DaemonSet", **{**daemon_set, "numberReady": 0}), [], {}, True).verdict == "waiting"


def test_an_open_image_is_named_and_not_waited_for() -> None:
    state = judge(workload(image="i:not-locked"), [], {"i:not-locked": "image i is not locked yet: waits for x"}, True)
    assert (state.verdict, state.why) == ("open", "image i is not locked yet: waits for x")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: too little memory"}]},
            "cannot be scheduled: 0/1 nodes: too little memory",
        ),
        (
            container(
                {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            ),
            "main: CrashLoopBackOff (OOMKilled, exit code 137)",
        ),
        (container({"terminated": {"reason": "Error", "exitCode": 2}}), "main: Error, exit code 2"),
        (
            container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s" not found'}}),
            'main: CreateContainerConfigError (secret "s" not found)',
        ),
        (container({"running": {}}, started=True), "main: runs, but its readiness probe does not succeed"),
        (container({"waiting": {"reason": "ContainerCreating"}}), ""),
    ],
)
def test_what_does_not_run_says_why(status: dict[str, Any], why: str) -> None:
    state = judge(workload(), [pod(**status)], {}, True)
    assert (state.verdict, state.why) == ("waiting", why)


def test_a_missing_image_is_a_failure_only_where_we_load_images() -> None:
    pods = [pod(**container({"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}))]
    assert judge(workload(), pods, {}, True).verdict == "waiting"
    assert judge(workload(), pods, {}, False).verdict == "open"


def test_no_pod_at_all_says_what_the_controller_says() -> None:
    refused = workload()
    refused["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": "forbidden by policy"}]
    assert judge(refused, [], {}, True).why == "forbidden by policy"


def test_the_report_says_how_to_look_and_how_to_take_it_down(tmp_path: Path) -> None:
    states = [judge(workload(**RUNS), [], {}, True), judge(workload(image="o"), [], {"o": "waits for x"}, True)]
    kubectl = Kubectl(Path("kubectl"), tmp_path, "here", tmp_path)
    text = report(states, kubectl, " --kind")
    assert f"kubectl --kubeconfig={tmp_path} --context=here get pods" in text
    assert "a/w: waits for x" in text
    assert "local down --kind" in text
    assert "make down" in report(states, kubectl, "")


def test_pods_of_an_earlier_build_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar, name = tmp_path / "image.tar", images.images.reference("x")
    archive.assemble(tar, name, {"/x": b"1"}, entrypoint=["/x"])
    monkeypatch.setattr(images.images, "build_all", lambda _: {"x": tar})
    loaded: list[Path] = []
    archives = images.build_and_load(SimpleNamespace(load_image=loaded.append), silent)  # type: ignore[arg-type]
    now = f"sha256:{images._image_id(tar)}"

    def running(pod: str, image_id: str) -> Object:
        spec = {"containers": [{"name": "main", "image": name}]}
        status = {"containerStatuses": [{"name": "main", "imageID": image_id}]}
        return {"metadata": {"name": pod}, "spec": spec, "status": status}

    pods = [running("new", now), running("old", f"sha256:{'0' * 64}"), running("not-started-yet", "")]
    deleted: list[str] = []
    said: list[str] = []
    kubectl = SimpleNamespace(
        get=lambda *_, **__: pods,
        run=lambda *_, objects, **__: deleted.extend(pod["metadata"]["name"] for pod in objects),
    )
    images.replace_stale_pods(kubectl, archives, said.append)  # type: ignore[arg-type]
    assert (loaded, deleted) == ([tar], ["old"])
    assert "old" in said[0]
