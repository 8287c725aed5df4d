"""Manifests as files: what is written, what is refused, and that nothing of anybody else is ever touched.

Works on made-up recordings. That real objects are accepted by an API server is shown by tests/cluster.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flameplane.plan import UNKNOWN, NotOurs, Recording, Resource, Secret, UnknownValues, manifest, render, unresolved
from flameplane.plan.render import LIST, contents, to_yaml


def _resource(kind: str, name: str, namespace: str | None = None, **more: Any) -> Resource:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    inputs = {**more, "metadata": metadata, "kind": kind, "apiVersion": "v1"}
    token = f"kubernetes:core/v1:{kind}"
    return Resource(f"urn:pulumi:s::p::{token}::{namespace}/{name}", token, name, custom=True, inputs=inputs)


def _recording(*resources: Resource) -> Recording:
    return Recording("p", "s", "organization", {}, resources)


ONE = _recording(
    _resource("Namespace", "space"),
    _resource("ConfigMap", "words", "space", data={"b": "2", "a": "1"}),
    _resource("ClusterRole", "system:auth:Reader"),
)
NAMES = [
    "_cluster/clusterrole-system__auth__reader.yaml",
    "_cluster/namespace-space.yaml",
    "space/configmap-words.yaml",
]


def _tree(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_files(tmp_path: Path) -> None:
    """One file per object, lower case, colons replaced; the list of what was written lies beside them."""
    out = tmp_path / "a" / "b"
    assert render(ONE, out) == [out / name for name in NAMES]
    assert sorted(_tree(out)) == sorted([LIST, *NAMES])
    assert (out / "space" / "configmap-words.yaml").read_text() == (
        "# Written by `flameplane render`: change the declarations, not this file.\n"
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: words\n  namespace: space\ndata:\n  a: "1"\n  b: "2"\n'
    )


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    """Byte-identical, and files that stay are not even written again."""
    render(ONE, tmp_path)
    before, times = _tree(tmp_path), {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.yaml")}
    for path in times:
        os.utime(path, ns=(1, 1))
    render(_recording(*reversed(ONE.resources)), tmp_path)
    assert _tree(tmp_path) == before
    assert {p.stat().st_mtime_ns for p in times} == {1}


def test_stale_files_go_foreign_ones_stay(tmp_path: Path) -> None:
    """Only what is on our list is removed, with folders that are empty then."""
    render(ONE, tmp_path)
    foreign = {"kustomization.yaml": "mine", "_cluster/mine.yaml": "mine"}
    for name, text in foreign.items():
        (tmp_path / name).write_text(text)
    render(_recording(_resource("Namespace", "other")), tmp_path)
    assert sorted(_tree(tmp_path)) == sorted([LIST, "_cluster/namespace-other.yaml", *foreign])
    assert not (tmp_path / "space").exists()


def test_changed_files_are_put_right(tmp_path: Path) -> None:
    """What somebody changed in a file of ours is overwritten."""
    render(ONE, tmp_path)
    before = _tree(tmp_path)
    (tmp_path / NAMES[0]).write_text("changed")
    (tmp_path / NAMES[1]).unlink()
    render(ONE, tmp_path)
    assert _tree(tmp_path) == before


def _foreign_folder(out: Path) -> None:
    (out / "notes.txt").write_text("mine")


def _foreign_file_in_the_way(out: Path) -> None:
    render(_recording(_resource("Namespace", "other")), out)
    (out / NAMES[1]).write_text("mine")


def _file(out: Path) -> None:
    out.rmdir()
    out.write_text("mine")


def _bad_list(out: Path) -> None:
    (out / LIST).write_text("../../etc/passwd\n")


def _link(out: Path) -> None:
    (out.parent / "elsewhere").mkdir()
    render(ONE, out)
    (out / NAMES[2]).unlink()
    (out / "space").rmdir()
    (out / "space").symlink_to(out.parent / "elsewhere")


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "not ours": (_foreign_folder, "is not empty and was not written by render; name a new folder, or empty this one"),
    "in the way": (_foreign_file_in_the_way, "namespace-space.yaml was not written by render; move it away"),
    "a file": (_file, "is a file; name a folder"),
    "list": (_bad_list, "names '../../etc/passwd', which render never writes"),
    "link": (_link, "space is a link to elsewhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_folders(case: str, tmp_path: Path) -> None:
    """Refused with the fix, and nothing in it is touched."""
    prepare, expected = REFUSED[case]
    out = tmp_path / "out"
    out.mkdir()
    prepare(out)
    before = out.read_bytes() if out.is_file() else _tree(out)
    with pytest.raises(NotOurs, match=expected.replace(".", r"\.")):
        render(ONE, out)
    assert before == (out.read_bytes() if out.is_file() else _tree(out))


def test_unknown_values_write_nothing(tmp_path: Path) -> None:
    """Every unresolved path is named, with a PLN id, before anything is written."""
    spec = {"a": [{"b": UNKNOWN}], "c.d/e": UNKNOWN, "ok": 1}
    secret = _resource("Secret", "t", data=Secret({"k": "hidden"}))
    recording = _recording(_resource("Service", "s", spec=spec), secret)
    with pytest.raises(UnknownValues) as failed:
        render(recording, tmp_path / "out")
    assert [(f.id, f.message) for f in failed.value.findings] == [
        ("PLN001", "Service/s: spec.a[0].b: only the cloud knows this value"),
        ("PLN001", 'Service/s: spec["c.d/e"]: only the cloud knows this value'),
        ("PLN002", "Secret/t: data: the value is secret and would lie in a file"),
    ]
    assert "hidden" not in str(failed.value)
    assert not (tmp_path / "out").exists()


def test_two_objects_one_file() -> None:
    """Names that differ in case alone would share a file."""
    with pytest.raises(UnknownValues, match="ClusterRole/X: another object has the same file name, _cluster/"):
        contents(_recording(_resource("ClusterRole", "x"), _resource("ClusterRole", "X")))


def test_failure_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while files are staged changes nothing; the next run repairs everything."""
    render(ONE, tmp_path)
    before = _tree(tmp_path)
    real, calls = Path.write_text, []

    def full(path: Path, *args: Any, **kwargs: Any) -> int:
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(path, *args, **kwargs)

    two = _recording(*ONE.resources, _resource("ConfigMap", "more", "space"))
    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(Path, "write_text", full)
        render(two, tmp_path)
    assert _tree(tmp_path) == before
    render(two, tmp_path)
    assert len(_tree(tmp_path)) == len(before) + 1


def test_manifest() -> None:
    """Only Kubernetes objects, without nulls, in an order of keys that does not depend on the wire's."""
    resource = _resource(
        "Pod", "p", "n", spec={"z": None, "containers": [{"image": "i", "name": "c", "x": None}], "a": 1}
    )
    obj = manifest(resource)
    assert obj == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"a": 1, "containers": [{"name": "c", "image": "i"}]},
    }
    assert list(obj) == ["apiVersion", "kind", "metadata", "spec"]
    assert list(obj["spec"]["containers"][0]) == ["name", "image"]
    assert unresolved(obj) == []
    provider = Resource("urn", "pulumi:providers:kubernetes", "k", custom=True, inputs={"kubeconfig": "x"})
    release = Resource("urn", "kubernetes:helm.sh/v3:Release", "k", custom=True, inputs={"chart": "x"})
    assert manifest(provider) is None
    assert manifest(release) is None


# What YAML readers do not agree on, and what a careless writer breaks.
# fmt: off
TEXTS = (
    "on", "No", "y", "null", "true", "~", "1", "1e3", "0x1f", "0o7", "012", "1_000", "12:30", "1.0", ".5", "2026-01-01",
    "", " ", "a: b", "a #b", "- x", "{", "*a", "&a", "!t", "%", "@x", "`", "'", '"', "=", "<<", "\\", "a\\nb", "é\t😀",
    "a\nb\n", "a\nb", "  a\nb \n", "\n", "a b " * 60, "x" * 300, "a/b.c-d_e",
)
# fmt: on


@pytest.mark.parametrize("text", TEXTS)
def test_texts_stay_texts(text: str) -> None:
    """Text comes back the same from a YAML 1.1 reader, and is quoted where a 1.2 reader could think otherwise."""
    written = to_yaml({"k": text, text or "k2": "v"})
    assert yaml.safe_load(written) == {"k": text, text or "k2": "v"}
    first = written.splitlines()[0]
    plain = not first.startswith(('k: "', "k: |"))
    assert plain == (text in ("a/b.c-d_e", "x" * 300))
