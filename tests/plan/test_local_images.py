"""Image archives: the same bytes from the same inputs, nothing but what was asked for; and the keys of the recipes.

Whether the images run is shown in the cluster tier (test_demo.py); nothing is downloaded or unpacked here.
"""

import importlib.metadata
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import certifi
import pytest

from local import LocalError, cache, golang, images
from local.images import archive, libraries, python, recipes


def _layer(image: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(image) as outer:
        content = outer.extractfile("layer.tar")
        assert content
        with tarfile.open(fileobj=io.BytesIO(content.read())) as layer:
            return {member.name: member for member in layer}


def _json(image: Path, name: str) -> object:
    with tarfile.open(image) as outer:
        content = outer.extractfile(name)
        assert content
        return json.load(content)


def _app(folder: Path, *, hurried: bool) -> Path:
    """The same files, made in another order, with other times and modes."""
    names = ["b.txt", "a.txt", "sub/c.txt"]
    for name in reversed(names) if hurried else names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(0o600 if hurried else 0o644)
        os.utime(file, (1, 1) if hurried else None)
    (folder / "run").write_text("#!")
    (folder / "run").chmod(0o700 if hurried else 0o775)
    (folder / "link").symlink_to("a.txt")
    return folder


def _assemble(out: Path, entries: Mapping[str, Path | bytes], **more: object) -> str:
    options: dict = {"entrypoint": ["/app/run"], **more}
    return archive.assemble(out, "localhost/flameplane/app:local", entries, **options)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    entries = {"/app": _app(tmp_path / "one", hurried=False), "/etc/x": b"x"}
    again = {"/etc/x": b"x", "/app": _app(tmp_path / "two", hurried=True)}
    identity = _assemble(tmp_path / "one.tar", entries)
    assert _assemble(tmp_path / "two.tar", again) == identity
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    (tmp_path / "two/a.txt").write_text("changed")
    assert _assemble(tmp_path / "two.tar", again) != identity


def test_what_a_layer_holds(tmp_path: Path) -> None:
    app = _app(tmp_path / "app", hurried=False)
    (app / "__pycache__").mkdir()
    (app / "__pycache__/x.pyc").touch()
    os.mkfifo(app / "pipe")
    _assemble(tmp_path / "image.tar", {"/app": app, "/bin/named": app / "link"})
    layer = _layer(tmp_path / "image.tar")
    assert sorted(layer) == [
        *("app", "app/a.txt", "app/b.txt", "app/link", "app/run", "app/sub", "app/sub/c.txt"),
        *("bin", "bin/named", "etc", "etc/group", "etc/passwd", "tmp"),
    ]
    modes = {name: member.mode for name, member in layer.items() if member.mode != 0o644}
    assert modes == {
        **dict.fromkeys(["app", "app/sub", "bin", "etc", "app/run"], 0o755),
        "app/link": 0o777,
        "tmp": 0o1777,
    }
    assert layer["app/link"].linkname == "a.txt", "a link inside a folder stays one"
    assert layer["bin/named"].isfile(), "a link that is named is followed"
    assert {(member.uid, member.gid, member.mtime) for member in layer.values()} == {(0, 0, 0)}


def test_the_configuration(tmp_path: Path) -> None:
    identity = _assemble(tmp_path / "image.tar", {"/a": b""}, env={"K": "v"}, workdir="/app")
    manifest = _json(tmp_path / "image.tar", "manifest.json")
    assert isinstance(manifest, list)
    assert manifest[0]["RepoTags"] == ["localhost/flameplane/app:local"]
    assert manifest[0]["Config"] == f"{identity.removeprefix('sha256:')}.json"
    configuration = _json(tmp_path / "image.tar", manifest[0]["Config"])
    assert isinstance(configuration, dict)
    assert configuration["architecture"] in ("amd64", "arm64", platform.machine())
    assert configuration["config"] == {
        "User": "65532:65532",
        "Entrypoint": ["/app/run"],
        "WorkingDir": "/app",
        "Env": [f"PATH={archive.PATH}", "K=v"],
    }


# As the kernel shows them (`getfattr -e hex -n security.capability`) after `setcap`.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cap_perfmon=ep", "0100000200000000000000004000000000000000"),
        ("cap_perfmon=p", "0000000200000000000000004000000000000000"),
        ("cap_bpf,cap_perfmon=p", "000000020000000000000000c000000000000000"),
        ("cap_sys_ptrace=ep", "0100000200000800000000000000000000000000"),
    ],
)
def test_file_capabilities(tmp_path: Path, text: str, expected: str) -> None:
    _assemble(tmp_path / "image.tar", {"/agent": b"", "/other": b""}, capabilities={"/agent": text})
    layer = _layer(tmp_path / "image.tar")
    value = layer["agent"].pax_headers["SCHILY.xattr.security.capability"]
    assert value.encode("utf-8", "surrogateescape").hex() == expected
    assert layer["other"].pax_headers == {}


@pytest.mark.parametrize("text", ["cap_sys_admin=ep", "cap_perfmon", "cap_perfmon=i", "=ep"])
def test_other_capabilities_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"cap_sys_ptrace, cap_perfmon, cap_bpf and `=p` or `=ep`"):
        _assemble(tmp_path / "image.tar", {"/agent": b""}, capabilities={"/agent": text})


def test_a_capability_for_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not in the image: /agnet"):
        _assemble(tmp_path / "image.tar", {"/agent": b""}, capabilities={"/agnet": "cap_bpf=p"})


@pytest.mark.skipif(not Path("/lib64/ld-linux-x86-64.so.2").exists(), reason="NOT RUN: no glibc for x86-64")
def test_libraries_of_a_program() -> None:
    shell = Path("/bin/sh").resolve()
    found = libraries.closure(Path("/"), [shell])
    assert "/lib64/ld-linux-x86-64.so.2" in found
    assert any(path.endswith("/libc.so.6") for path in found)
    assert all(not library.is_symlink() and library.is_file() for library in found.values())


def test_a_root_without_glibc(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="No dynamic loader"):
        libraries.closure(tmp_path, [])


@pytest.mark.skipif(platform.system() != "Linux", reason="NOT RUN: not Linux")
def test_kinds_of_programs(tmp_path: Path) -> None:
    assert "ld" in (libraries.interpreter(Path(sys.executable).resolve()) or "")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert libraries.interpreter(tmp_path / "script") is None
    (tmp_path / "empty").touch()
    assert libraries.interpreter(tmp_path / "empty") is None


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recipes that ask neither apt nor Go: what these resolve to is given."""
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FLAMEPLANE_PYROSCOPE", raising=False)
    monkeypatch.setattr(recipes.debian, "resolve", lambda packages: [f"{name}_1.deb" for name in packages])
    program = tmp_path / "checkout-key/checkout"
    program.parent.mkdir()
    program.write_bytes(b"program")
    monkeypatch.setattr(golang, "build", lambda *_, **__: program)
    monkeypatch.setattr(recipes.bpf, "overlay", lambda *_: {})
    return tmp_path


def test_what_is_built_here_is_what_the_lock_says(known: Path, root: Path) -> None:
    lock = json.loads((root / "images.lock").read_text())
    assert set(recipes.buildable()) == {name for name, image in lock["images"].items() if image.get("local")}


def test_every_input_is_in_the_key(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: list(recipe.made_of()) for name, recipe in recipes.buildable().items()}
    monkeypatch.setattr(recipes.debian, "resolve", lambda packages: [f"{name}_2.deb" for name in packages])
    changed = {name for name, recipe in recipes.buildable().items() if list(recipe.made_of()) != before[name]}
    assert changed == {"demo-java", "demo-node", "demo-python", "downsample"}
    copy = known / "demo"
    shutil.copytree(recipes.DEMO, copy)
    monkeypatch.setattr(recipes, "DEMO", copy)
    before = {name: list(recipe.made_of()) for name, recipe in recipes.buildable().items()}
    for language in ("java", "node", "python"):
        next(file for file in (copy / language).rglob("*") if file.is_file()).write_text("changed")
    changed = {name for name, recipe in recipes.buildable().items() if list(recipe.made_of()) != before[name]}
    assert changed == {"demo-java", "demo-node", "demo-python"}


def test_the_job_has_all_that_it_imports(root: Path) -> None:
    """And no more: what is left out of the image is missed only when the job runs."""
    modules = [*(f"flameplane.downsample.{m}" for m in ("ledger", "run")), "flameplane.catalog.mounted"]
    program = (
        f"import sys, {', '.join(modules)}, flameplane.backend, flameplane.cli, flameplane.prometheus\n"
        "specs = [getattr(module, '__spec__', None) for module in list(sys.modules.values())]\n"
        "print(*{spec.name.partition('.')[0] for spec in specs if spec and 'site-packages' in str(spec.origin)})"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
    known = importlib.metadata.packages_distributions()
    found = {name.lower().replace("_", "-") for module in said.split() for name in known.get(module, ())}
    others = {"flameplane", "setuptools", "googleapis-common-protos"}  # the last is in the folder of protobuf
    assert found - others == set(python.JOB)


def test_the_job_trusts_public_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its interpreter looks by itself, the image holds nothing."""
    (site := tmp_path / "site").mkdir()
    asked: list[str] = []

    def packages(names: Sequence[str], _: str) -> Path:
        asked.extend(names)
        shutil.copytree(Path(certifi.where()).parent, site / "certifi", dirs_exist_ok=True)
        return site

    monkeypatch.setattr(recipes.debian, "unpack", lambda *_: tmp_path / "root")
    monkeypatch.setattr(recipes.debian, "inside", lambda *_: Path("python3.11"))
    monkeypatch.setattr(recipes.python, "packages", packages)
    monkeypatch.setattr(recipes.python, "runtime", lambda *_: ("/usr/bin/python3.11", {}))
    with recipes.buildable()["downsample"].compose() as image:
        entries, env = dict(image.entries), dict(image.env or {})
    assert python.AUTHORITIES in asked
    folder = entries[python.SITE]
    assert isinstance(folder, Path)
    bundle = folder / Path(env["SSL_CERT_FILE"]).relative_to(python.SITE)
    program = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"

    def trusted(file: Path) -> int:
        nowhere = {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": str(tmp_path / "none")}
        return int(subprocess.run([sys.executable, "-c", program], env=nowhere, capture_output=True, check=True).stdout)

    assert trusted(bundle) > 100
    assert trusted(tmp_path / "none.pem") == 0


def test_an_image_is_made_once_and_replaces_its_older_ones(known: Path) -> None:
    made = []
    inputs = ["one"]

    @contextmanager
    def compose() -> Iterator[recipes.Image]:
        made.append(inputs[0])
        yield recipes.Image({"/app": inputs[0].encode()}, ["/app"])

    recipe = recipes.Recipe(lambda: inputs, compose)
    first = images.build("app", recipe)
    other = images.build("app-two", recipe)
    assert images.build("app", recipe) == first
    inputs[0] = "two"
    second = images.build("app", recipe)
    assert made == ["one", "one", "two"]
    left = sorted(path for path in (cache.root() / "images").iterdir() if path.suffix == ".tar")
    assert left == sorted([other, second])


def test_a_failed_image_leaves_what_was_unpacked(known: Path) -> None:
    """So that the next run goes on from there."""
    unpacked = known / "unpacked"
    unpacked.mkdir()

    @contextmanager
    def compose() -> Iterator[recipes.Image]:
        yield recipes.Image({"/app": known / "missing"}, ["/app"])
        cache.remove(unpacked)

    with pytest.raises(FileNotFoundError):
        images.build("app", recipes.Recipe(lambda: ["one"], compose))
    assert unpacked.exists()
    assert [path for path in (cache.root() / "images").iterdir() if path.suffix != ".lock"] == []


def test_pyroscope_only_when_it_is_given(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "pyroscope" not in recipes.buildable()
    for given, problem in {
        str(known / "missing"): "there is no such file",
        str(recipes.DEMO / "go/main.go"): "not a program for Linux",
        str(Path(sys.executable).resolve()): "not a static binary",
    }.items():
        monkeypatch.setenv("FLAMEPLANE_PYROSCOPE", given)
        with pytest.raises(LocalError, match=f"(?s)FLAMEPLANE_PYROSCOPE is .*{problem}"):
            recipes.buildable()


@pytest.mark.skipif(not shutil.which("go"), reason="NOT RUN: go is not on PATH")
def test_a_static_pyroscope_becomes_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any static program stands in here: the image is made of the file, whatever it is."""
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOOS": "linux"}
    subprocess.run(["go", "build", "-o", "program", "main.go"], cwd=tmp_path, env=environment, check=True)
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLAMEPLANE_PYROSCOPE", str(tmp_path / "program"))
    image = images.build("pyroscope", recipes.buildable()["pyroscope"])
    program = _layer(image)["usr/bin/pyroscope"]
    assert (program.size, program.mode) == ((tmp_path / "program").stat().st_size, 0o755)
