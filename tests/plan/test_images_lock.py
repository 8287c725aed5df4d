"""`flameplane images lock` against a registry of the test's own on loopback (real HTTP, no TLS, no image in it).

It proves the protocol as the specification has it, not that any one vendor's registry keeps to it.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flameplane.catalog.project import check_lock
from flameplane.cli import app
from flameplane.cli.images import text_of
from flameplane.local import check
from flameplane.registry import NoAddress, RegistryError, check_address, digest
from schemas.images import LOCAL_ONLY, ImagesLock, lock_here

MANIFEST = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()


class Registry(BaseHTTPRequestHandler):
    """Serves one manifest under several repositories, each with its own manners."""

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        host = f"127.0.0.1:{self.server.server_address[1]}"
        repository = self.path.removeprefix("/v2/").partition("/manifests/")[0]
        if self.path.startswith("/token"):
            self._answer(200, b'{"token": "pull-only"}')
        elif repository == "acme/private" and authorization != "Bearer pull-only":
            challenge = f'Bearer realm="http://{host}/token",service="registry",scope="repository:acme/private:pull"'
            self._answer(401, b"", {"WWW-Authenticate": challenge})
        elif repository == "acme/basic" and authorization != "Basic " + base64.b64encode(b"me:word").decode():
            self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
        elif repository == "acme/astray":
            self._answer(302, b"", {"Location": "https://[::1/v2"})
        elif repository == "acme/realm":
            self._answer(401, b"", {"WWW-Authenticate": 'Bearer realm="https://[::1/token"'})
        elif repository == "acme/lying":
            self._answer(200, MANIFEST, {"Docker-Content-Digest": "sha256:" + "0" * 64})
        elif repository.startswith("acme/") and self.path.endswith("/manifests/2.2.1"):
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            self._answer(200, MANIFEST, {"Docker-Content-Digest": DIGEST})
        else:
            self._answer(404, b"")

    def _answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}/acme"
        server.shutdown()


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("Pulumi.yaml", "images.lock"):
        (folder / name).write_bytes((root / name).read_bytes())
    monkeypatch.chdir(folder)
    return folder


def test_the_digest_is_that_of_the_manifest_served(registry: str) -> None:
    assert digest(registry, "pyroscope", "2.2.1") == DIGEST


def test_a_token_is_fetched_where_the_registry_asks_for_one(registry: str) -> None:
    assert digest(registry, "private", "2.2.1") == DIGEST


def test_the_credentials_of_docker_login_are_used(registry: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="docker login"):
        digest(registry, "basic", "2.2.1")
    (tmp_path / "docker").mkdir()
    auth = base64.b64encode(b"me:word").decode()
    document = {"auths": {registry.partition("/")[0]: {"auth": auth}}}
    (tmp_path / "docker" / "config.json").write_text(json.dumps(document))
    assert digest(registry, "basic", "2.2.1") == DIGEST


def test_a_digest_that_does_not_fit_is_refused(registry: str) -> None:
    with pytest.raises(RegistryError, match="what it serves is"):
        digest(registry, "lying", "2.2.1")


@pytest.mark.parametrize("repository", ["astray", "realm"])
def test_a_registry_that_sends_clients_nowhere_is_told_in_words(registry: str, repository: str) -> None:
    with pytest.raises(RegistryError, match=r"cannot be asked: .*IPv6"):
        digest(registry, repository, "2.2.1")


def test_credentials_that_are_none_are_left_out(registry: str, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    document = {"auths": {registry.partition("/")[0]: {"auth": 5}}}
    (tmp_path / "docker" / "config.json").write_text(json.dumps(document))
    assert digest(registry, "pyroscope", "2.2.1") == DIGEST


NO_ADDRESS = [
    "https://registry.example.com",
    "[::1",
    "[::1]:5000/acme",
    "a" * 70 + ".example.com",
    "ｒegistry.example.com",
    "registry.example.com:99999",
    "registry.example.com:0",
    "registry.example.com/../evil",
    "registry.example.com/",
    "",
]


@pytest.mark.parametrize("address", NO_ADDRESS)
def test_what_is_no_registry_is_a_usage_error_before_anything_is_asked(project: Path, address: str) -> None:
    result = CliRunner().invoke(app, ["images", "lock", "--registry", address, "pyroscope=2.2.1"])
    assert result.exit_code == 2, result.output
    assert "--registry" in result.output
    with pytest.raises(NoAddress, match="host"):
        digest(address, "pyroscope", "2.2.1")


@pytest.mark.parametrize("address", ["localhost:5000", "registry.example.com/a/b_c", "x"])
def test_an_address_is_a_host_with_port_and_path(address: str) -> None:
    check_address(address)


def test_lock_writes_the_digest_and_nothing_else(registry: str, project: Path) -> None:
    before = (project / "images.lock").read_text().splitlines()
    result = CliRunner().invoke(app, ["images", "lock", "--registry", registry, "pyroscope=2.2.1"])
    assert result.exit_code == 0, result.output
    after = (project / "images.lock").read_text().splitlines()
    changed = [line for line in after if line not in before]
    assert len(after) == len(before)
    assert len(changed) == 1
    assert DIGEST in changed[0]
    assert "Open:" not in changed[0]


def test_nothing_is_locked_when_one_tag_is_missing(registry: str, project: Path) -> None:
    before = (project / "images.lock").read_bytes()
    result = CliRunner().invoke(app, ["images", "lock", "--registry", registry, "pyroscope=2.2.1", "gateway=9"])
    assert result.exit_code == 3
    assert "has no acme/gateway:9" in result.output
    assert (project / "images.lock").read_bytes() == before


@pytest.mark.parametrize("word", ["pyroscop=2.2.1", "pyroscope", "pyroscope=", "demo-go=1", "pyroscope=a/b"])
def test_what_is_not_an_entry_or_a_tag_is_a_usage_error(registry: str, project: Path, word: str) -> None:
    assert CliRunner().invoke(app, ["images", "lock", "--registry", registry, word]).exit_code == 2


def test_an_entry_is_named_once(registry: str, project: Path) -> None:
    result = CliRunner().invoke(app, ["images", "lock", "--registry", registry, "agent=2.2.1", "agent=2.2.2"])
    assert result.exit_code == 2
    assert "twice" in result.output


BROKEN = {
    "no file": (None, "LCK001"),
    "no JSON": ("version: 1", "LCK002"),
    "no entry": ('{"version": 1, "images": {}}', "LCK021"),
    "no number anyone has": ('{"version": 1, "images": ' + "1" * 5000 + "}", "LCK009"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_lock_is_told_as_validate_tells_it(registry: str, project: Path, case: str) -> None:
    text, ident = BROKEN[case]
    (project / "images.lock").unlink()
    if text:
        (project / "images.lock").write_text(text)
    result = CliRunner().invoke(app, ["images", "lock", "--registry", registry, "pyroscope=2.2.1"])
    assert result.exit_code == 1, result.output
    assert f"[{ident}]" in result.output
    assert [finding.id for finding in check_lock(project)] == [ident]


def test_a_pipe_is_not_waited_for(project: Path) -> None:
    (project / "images.lock").unlink()
    os.mkfifo(project / "images.lock")
    code = (
        "import pathlib; from flameplane.catalog.project import check_lock; from schemas.images import lock_here\n"
        "print(check_lock(pathlib.Path())[0].id)\n"
        "try: lock_here(pathlib.Path('images.lock'))\n"
        "except OSError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True, env=environment
    )
    assert done.stdout == "LCK001\nimages.lock is no ordinary file\n"


def test_outside_a_project_it_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["images", "lock", "--registry", "registry.example.com", "pyroscope=1"])
    assert result.exit_code == 2
    assert "no Pulumi.yaml" in result.output


def test_the_program_and_the_report_take_the_same_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a Pyroscope binary does not wait for its digest, and is not told to."""
    settings = check.settings(root, "local")
    monkeypatch.delenv("FLAMEPLANE_PYROSCOPE", raising=False)
    without = check.open_images(root, settings)
    monkeypatch.setenv("FLAMEPLANE_PYROSCOPE", "/opt/pyroscope")
    given = check.open_images(root, settings)
    assert [reference.rpartition("/")[2] for reference in without.keys() - given.keys()] == ["pyroscope:not-locked"]
    assert lock_here(root / "images.lock").runnable("pyroscope", settings.images.registry)


def test_the_committed_lock_is_written_as_the_command_writes_it(root: Path) -> None:
    text = (root / "images.lock").read_text()
    assert text_of(ImagesLock.model_validate_json(text)) == text


def test_build_says_where_the_archive_is(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image itself is what tests of local/images are about: here an archive stands for it."""
    monkeypatch.chdir(root)
    made: list[str] = []

    def build(name: str, recipe: object) -> Path:
        made.append(name)
        return tmp_path / f"{name}.tar"

    monkeypatch.setattr("local.images.build", build)
    result = CliRunner().invoke(app, ["images", "build", "gateway", "network-probe", "gateway"])
    assert result.exit_code == 0, result.output
    assert made == ["gateway", "network-probe"]
    assert f"gateway  docker-archive:{tmp_path}/gateway.tar" in result.output


def test_what_is_not_built_here_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["images", "build", "grafana"])
    assert result.exit_code == 2
    assert "grafana cannot be built here; one of" in result.output


@pytest.mark.parametrize("name", LOCAL_ONLY)
def test_images_of_environment_local_are_never_locked(registry: str, project: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["images", "lock", "--registry", registry, f"{name}=1"])
    assert result.exit_code == 2
    assert "is built by local/ and never pulled" in result.output
