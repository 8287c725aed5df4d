"""Real servers on loopback with the rendered configuration, each in a folder of its own.

What differs from the cluster is on the command line and nowhere else: addresses, ports, folders and the address of the
object storage, and no waiting for other replicas. The files themselves are loaded byte for byte.
"""

import json
import os
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import golang

HOST = "127.0.0.1"
START_TIMEOUT = 120.0  # seconds; on an idle machine Pyroscope takes 3
STOP_TIMEOUT = 60.0
ONE_PROCESS = """\
target: all
architecture_storage: v2
multitenancy_enabled: true
self_profiling: {disable_push: true}
analytics: {reporting_enabled: false}
admin_server: {mode: exclusive}
"""


class NotReady(AssertionError):
    """The server ended or did not answer; the message is its log."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, whatever its status."""

    status: int
    text: str


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def request(
    url: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    certificates: ssl.SSLContext | None = None,
) -> Answer:
    """GET, or POST of JSON when there is a body. ``certificates``: ours, and the authority of the server's."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(asked, timeout=30, context=certificates) as answer:
            return Answer(answer.status, answer.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode(errors="replace"))
    except OSError as error:
        return Answer(0, str(error))


def until(happens: Callable[[], bool], seconds: float = START_TIMEOUT) -> bool:
    """Whether it happens within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happens():
            return True
        time.sleep(0.5)
    return False


@contextmanager
def running(
    command: Sequence[str | Path], folder: Path, ready: Callable[[], bool], **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that was ready; ended by its process id afterwards."""
    log = folder / f"{Path(command[0]).name}-{secrets.token_hex(2)}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            if not until(lambda: process.poll() is not None or ready()) or process.poll() is not None:
                raise NotReady(f"{command[0]}, exit code {process.poll()}:\n{log.read_text(errors='replace')}")
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Pyroscope:
    """A running Pyroscope: what the gateway reaches, and the port that the cluster keeps for probes and metrics."""

    url: str
    admin: str
    certificates: ssl.SSLContext | None = None

    def call(self, method: str, body: object, tenant: str | None = None) -> Answer:
        """One call of its API, such as ``querier.v1.QuerierService/LabelValues``."""
        headers = {"X-Scope-OrgID": tenant} if tenant else {}
        return request(f"{self.url}/{method}", body, headers, self.certificates)

    def get(self, path: str) -> Answer:
        """One GET at the port that the gateway uses."""
        return request(self.url + path, certificates=self.certificates)


@contextmanager
def devstore(folder: Path, files: Mapping[str, str]) -> Iterator[Pyroscope]:
    """devstore in the same place, with the rendered overrides.yaml."""
    binary = golang.build(Path(__file__).resolve().parents[2] / "dataplane", "./cmd/devstore", "devstore")
    (folder / "overrides.yaml").write_text(files["overrides.yaml"])
    http, metrics = free_ports(2)
    command = [binary, f"-listen={HOST}:{http}", f"-metrics={HOST}:{metrics}", f"-data={folder / 'store'}"]
    started = Pyroscope(f"http://{HOST}:{http}", f"http://{HOST}:{metrics}")
    ready = f"{started.admin}/ready"
    with running([*command, f"-overrides={folder / 'overrides.yaml'}"], folder, lambda: request(ready).status == 200):
        yield started


@contextmanager
def pyroscope(
    binary: Path,
    folder: Path,
    files: Mapping[str, str],
    storage: Sequence[str],
    certificates: ssl.SSLContext | None = None,
    **environment: str,
) -> Iterator[Pyroscope]:
    """Pyroscope with the rendered ``files`` (config.yaml, overrides.yaml); ``storage`` are flags of its own.

    ``certificates``: with what it is called where it asks for mTLS.
    """
    for name, text in files.items():
        (folder / name).write_text(text)
    http, grpc, admin, raft, gossip = free_ports(5)
    state = folder / "metastore"
    flags = {
        "config.file": folder / "config.yaml",
        "config.expand-env": "true",
        "runtime-config.file": folder / "overrides.yaml",
        "server.http-listen-address": HOST,
        "server.http-listen-port": http,
        "server.grpc-listen-address": HOST,
        "server.grpc-listen-port": grpc,
        "admin-server.http-listen-address": HOST,
        "admin-server.http-listen-port": admin,
        "metastore.address": f"{HOST}:{grpc}",
        "query-backend.address": f"{HOST}:{grpc}",
        "metastore.data-dir": state / "data",
        "metastore.raft.dir": state / "raft",
        "metastore.raft.snapshots-dir": state / "raft",
        "metastore.raft.bind-address": f"{HOST}:{raft}",
        "metastore.raft.advertise-address": f"{HOST}:{raft}",
        "metastore.raft.server-id": f"{HOST}:{raft}",
        "metastore.raft.bootstrap-peers": f"{HOST}:{raft}/{HOST}:{raft}",
        "memberlist.bind-port": gossip,
        "memberlist.advertise-addr": HOST,
        "memberlist.advertise-port": gossip,
        "segment-writer.lifecycler.addr": HOST,
        "query-frontend.instance-addr": HOST,
        "distributor.ring.instance-addr": HOST,
        "overrides-exporter.ring.instance-addr": HOST,
        "compaction-worker.temp-dir": folder / "scratch",
        # 30 s each, so that other replicas notice; there are none.
        "segment-writer.min-ready-duration": "0s",
        "metastore.min-ready-duration": "0s",
    }
    scheme = "https" if certificates else "http"
    server = Pyroscope(f"{scheme}://{HOST}:{http}", f"http://{HOST}:{admin}", certificates)
    command: list[str | Path] = [binary, *(f"-{name}={value}" for name, value in flags.items()), *storage]
    with running(command, folder, lambda: request(f"{server.admin}/ready").status == 200, **environment):
        yield server


@contextmanager
def one_process(binary: Path, folder: Path, more: str = "", limits: str = "overrides: {}\n") -> Iterator[Pyroscope]:
    """Pyroscope as one process on a folder, with tenants and its own limits. ``more``: lines of its configuration."""
    files = {"config.yaml": ONE_PROCESS + more, "overrides.yaml": limits}
    storage = ["-storage.backend=filesystem", f"-storage.filesystem.dir={folder / 'blocks'}"]
    with pyroscope(binary, folder, files, storage) as started:
        yield started
