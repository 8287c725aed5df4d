"""The program as a whole: names, order, provider and failures. Recorded, so nothing here proves that an apply works."""

import re
from pathlib import Path

import pytest
from variants import WITH_PYROSCOPE, Project

from flameplane.plan import ProgramFailed, Recording, Resource, manifest, record

STACKS = ("local", "dev", "staging", "prod")
LAYERS = {"foundation", "access", "collection", "backend", "correlation", "regression", "cost"}


@pytest.fixture(scope="module", params=STACKS)
def recording(request: pytest.FixtureRequest, root: Path) -> Recording:
    return record(root, request.param)


def objects(recording: Recording) -> dict[str, Resource]:
    return {r.urn: r for r in recording.resources if manifest(r)}


def test_every_layer_is_there(recording: Recording) -> None:
    tokens = [r.type.split(":") for r in recording.resources if r.type.startswith("flameplane:")]
    layers = {layer for _, layer, _ in tokens} - {"index"}
    assert layers == LAYERS | ({"demo"} if recording.stack == "local" else {"cloud"})


def test_every_object_is_named_and_labelled(recording: Recording) -> None:
    for resource in objects(recording).values():
        body = manifest(resource)
        assert body
        metadata = body["metadata"]
        assert resource.name == "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        layer = metadata["labels"]["flameplane.dev/layer"]
        assert metadata["labels"].items() >= {"app.kubernetes.io/part-of": "flameplane"}.items()
        assert f"flameplane:{layer}:" in resource.urn


def test_every_object_goes_to_the_named_cluster(recording: Recording) -> None:
    (provider,) = [r for r in recording.resources if r.type == "pulumi:providers:kubernetes"]
    assert provider.inputs["context"] == f"flameplane-{recording.stack}"
    assert provider.inputs["kubeconfig"]
    assert {(r.provider or "").partition("::cluster")[0] for r in objects(recording).values()} == {
        provider.urn.partition("::cluster")[0]
    }


def test_namespaces_stand_before_what_is_in_them(recording: Recording) -> None:
    found = objects(recording)
    namespaces = {r.name: r.urn for r in found.values() if r.inputs["kind"] == "Namespace"}
    inside = [r for r in found.values() if r.inputs["metadata"].get("namespace") in namespaces]
    assert len(inside) > len(found) / 2
    for resource in inside:
        assert namespaces[resource.inputs["metadata"]["namespace"]] in resource.dependencies, resource.name


def test_the_guard_stands_before_the_pods_it_holds(recording: Recording) -> None:
    (daemon_set,) = [r for r in objects(recording).values() if r.inputs["kind"] == "DaemonSet"]
    assert any(":AgentGuard" in urn for urn in daemon_set.dependencies)


def test_findings_point_into_components(recording: Recording, root: Path) -> None:
    """Policies report the line that declared an object: of its component, not of a helper."""
    judged = {"Namespace", "NetworkPolicy", "ConfigMap", "Service", "DaemonSet", "StatefulSet", "Deployment", "CronJob"}
    for resource in objects(recording).values():
        if resource.inputs["kind"] in judged:
            assert resource.source, resource.name
            file, line = resource.source
            assert file.startswith("components/"), file
            assert file != "components/base.py", resource.name
            assert resource.inputs["kind"] in (root / file).read_text().splitlines()[line - 1]


def test_findings_about_rights_point_at_who_asks_for_them(recording: Recording, root: Path) -> None:
    """What a program may do stands in its component; the helper that makes the objects is the same for all."""
    rights = {"ServiceAccount": "service_account(", "Role": "allow(", "ClusterRole": "allow_everywhere("}
    seen = set()
    for resource in objects(recording).values():
        kind = resource.inputs["kind"].removesuffix("Binding")
        if kind in rights:
            assert resource.source, resource.name
            file, line = resource.source
            assert rights[kind] in (root / file).read_text().splitlines()[line - 1], (resource.name, file, line)
            seen.add(resource.inputs["kind"])
    assert seen >= {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def test_the_kubeconfig_of_local_up_comes_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMEPLANE_KUBECONFIG", "/some/kubeconfig")
    (provider,) = [r for r in record(root, "local").resources if r.type == "pulumi:providers:kubernetes"]
    assert provider.inputs["kubeconfig"] == "/some/kubeconfig"


def test_pyroscope_runs_locally_where_its_binary_is_given(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMEPLANE_PYROSCOPE", "pyroscope")
    objects = Project(root, tmp_path, locked=False).set(*WITH_PYROSCOPE).objects("local")
    pyroscope = objects["StatefulSet flameplane-backend/pyroscope"]
    (container,) = pyroscope["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "localhost/flameplane/pyroscope:local"


BROKEN = {
    "services": (
        "services/payments/ledger/service.yaml",
        "topN: 8",
        "topN: eight",
        r"ledger/service.yaml:\d+:\d+: .*topN",
    ),
    "settings": (
        "stacks/Pulumi.local.yaml",
        "demo: true",
        "demoo: true",
        r"Pulumi.local.yaml:\d+:\d+: unknown key demoo",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_files_end_the_program_before_anything_is_registered(what: str, root: Path, tmp_path: Path) -> None:
    project = Project(root, tmp_path, locked=False)
    (tmp_path / "stacks").unlink()
    (tmp_path / "stacks").mkdir()
    for file in (root / "stacks").iterdir():
        (tmp_path / "stacks" / file.name).write_text(file.read_text())
    name, old, new, message = BROKEN[what]
    file = project.folder / name
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ProgramFailed, match="nothing was registered") as failure:
        record(project.folder, "local")
    assert re.search(message, failure.value.findings_text)
    assert "Traceback" not in failure.value.findings_text


def test_a_broken_images_lock_is_told_in_words(root: Path, tmp_path: Path) -> None:
    project = Project(root, tmp_path, locked=False)
    (project.folder / "images.lock").write_text('{"version": 1, "images": {"agent": {"repository": "agent"}}}')
    with pytest.raises(
        ProgramFailed, match=r"images\.lock cannot be used; `flameplane validate` shows where"
    ) as failure:
        record(project.folder, "local")
    assert "Traceback" not in failure.value.findings_text
