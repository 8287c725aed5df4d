"""What `benchmarks/gateway.py` measures: devstore, and the doors before it (HAProxy, gateways), each a real process.

All on loopback in one temporary folder, and gone afterwards. The gateway is the program as it is built for its image;
its settings are what `components/gateway_config.py` writes for environment local, with three changes: the addresses,
the issuer, and limits that a load test does not meet.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from components.backend_urls import BackendUrls
from components.gateway_config import ci_gate_config, gateway_config
from flameplane import catalog
from local import debian, golang

ROOT: Final = Path(__file__).resolve().parents[1]
MODULE: Final = ROOT / "dataplane"
TENANT: Final = "payments"
SECRETS: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
STARTS: Final = 60  # seconds that a program may take to listen
# The API server's address and token lie where a pod has them, in a mount namespace of the gateway's own.
IN_A_POD: Final = f"""
set -e
mount -t tmpfs tmpfs "$(readlink -f /var/run)"
mkdir -p {SECRETS}
cp "$1/ca.pem" {SECRETS}/ca.crt
echo token >{SECRETS}/token
shift
exec "$@"
"""
NAMESPACE: Final = ("unshare", "--mount", "--map-root-user")
HAPROXY: Final = """
global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend door
  bind {address}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify("RS256","{folder}/key.pem") -m int 1 }}
  http-request deny deny_status 401 unless {{ var(txn.iss) -m str {issuer} {issuer}/cluster }}
  http-request deny deny_status 401 unless {{ var(txn.aud) -m str flameplane flameplane-gateway }}
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int le 0 }}
  http-request del-header Authorization
  http-request set-header X-Scope-OrgID {tenant}
  default_backend store
backend store
  server devstore {backend}
"""


@dataclass(frozen=True)
class Door:
    """One way to the backend. ``audit``: where it keeps its record."""

    name: str
    address: str
    process: subprocess.Popen[bytes] | None = None
    audit: Path | None = None

    def as_path(self) -> dict[str, Any]:
        """For the plan of dataplane/bench."""
        direct = self.process is None
        return {
            "name": self.name,
            "url": f"http://{self.address}",
            "headers": {"X-Scope-OrgID": TENANT} if direct else {},
            "tokens": not direct,
            "records": self.audit is not None,
            "pid": self.process.pid if self.process else 0,
        }


class Doors:
    """All of them, from ``with`` to its end."""

    def __init__(self, folder: Path, memory: Path) -> None:
        self.folder, self.memory = folder, memory
        self.tokens = folder / "surroundings"
        self.in_a_pod = _namespaces()
        self._stack = ExitStack()

    def __enter__(self) -> "Doors":
        with self._stack:
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.bench = golang.build(MODULE, "./bench", "bench")
        store = golang.build(MODULE, "./cmd/devstore", "devstore")
        program = golang.build(MODULE, "./cmd/gateway", "gateway")
        self.tokens.mkdir()
        self.around = self._surroundings()
        backend = _free()
        self.backend = f"http://{backend}"
        any_rate = ("-distributor.ingestion-rate-limit-mb", "0")
        self._run("devstore", [store, "-data", self.folder / "store", "-listen", backend, *any_rate], backend)
        self._settings()
        self.direct = Door("direct", backend)
        self.haproxy = self._haproxy(backend)
        self.gateway = self._gateway(program, "gateway", self.folder / "audit")
        self.gateway_in_memory = self._gateway(program, "gateway-in-memory", self.memory / "audit")
        self.all = (self.direct, self.haproxy, self.gateway, self.gateway_in_memory)

    def _surroundings(self) -> str:
        process = subprocess.Popen(
            [self.bench, "surroundings", "-folder", self.tokens], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._stack.callback(_end, process)
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            sys.exit("bench surroundings did not start")
        return str(json.loads(line)["address"])

    def _settings(self) -> None:
        settings, declared = catalog.load_settings(ROOT, "local").settings, catalog.load(ROOT).catalog
        if not settings or not declared:
            sys.exit("what is declared has findings: see `flameplane validate`")
        access = settings.access.model_copy(update={"issuer": f"https://{self.around}"})
        settings = settings.model_copy(update={"access": access})
        text = gateway_config(settings, declared, BackendUrls(self.backend, self.backend, self.backend))
        document = yaml.safe_load(text)
        document["limits"] |= {"requestsPerSecond": 10**6, "pushesPerSecond": 10**6, "concurrentQueries": 10**4}
        (self.folder / "gateway.yaml").write_text(yaml.safe_dump(document))
        (self.folder / "gate").mkdir()
        for name, content in ci_gate_config(settings, declared).items():
            (self.folder / "gate" / name).write_text(content)

    def _gateway(self, program: Path, name: str, audit: Path) -> Door:
        address, host, port = _free(), *self.around.split(":")
        environment = {**os.environ, "POD_NAME": name, "SSL_CERT_FILE": str(self.tokens / "ca.pem")}
        for variable in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
            environment.pop(variable, None)
        command: list[str | Path] = [program, "-listen", address, "-metrics", _free(), "-audit", audit]
        command += ["-config", self.folder / "gateway.yaml", "-ci-gate", self.folder / "gate"]
        if self.in_a_pod:
            command = [*NAMESPACE, "sh", "-c", IN_A_POD, "sh", self.tokens, *command]
            environment |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "POD_NAMESPACE": "access"}
        return Door(name, address, self._run(name, command, address, environment), audit)

    def _haproxy(self, backend: str) -> Door:
        root = debian.unpack("haproxy", ["haproxy"])
        program, address = debian.inside(root, "/usr/sbin/haproxy"), _free()
        folders = sorted({str(file.parent) for file in root.rglob("*.so*")})
        environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}
        said = subprocess.run([program, "-v"], env=environment, capture_output=True, text=True, check=True).stdout
        self.haproxy_version = said.split()[2]
        values = {"address": address, "folder": self.tokens, "issuer": f"https://{self.around}"}
        file = self.folder / "haproxy.cfg"
        file.write_text(HAPROXY.format(**values, tenant=TENANT, backend=backend))
        return Door("HAProxy", address, self._run("HAProxy", [program, "-db", "-f", file], address, environment))

    def _run(
        self, name: str, command: Sequence[str | Path], address: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program and wait until it listens."""
        told = self.folder / f"{name}.stderr"
        with (self.folder / f"{name}.stdout").open("wb") as out, told.open("wb") as errors:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=errors)
        self._stack.callback(_end, process)
        host, port = address.split(":")
        until = time.monotonic() + STARTS
        while process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return process
        sys.exit(f"{name} does not listen at {address}:\n{told.read_text()}")

    def refuse_bad_tokens(self, door: Door) -> list[str]:
        """Whoever is to be compared has to check: five tokens that do not count get 401. Ids of the answers."""
        good = (self.tokens / "people.jwt").read_text().splitlines()[0]
        head, body, signature = good.split(".")
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
        bad = {name: (self.tokens / f"{name}.jwt").read_text() for name in ("expired", "audience", "issuer")}
        bad |= {"signature": ".".join((head, body, signature[::-1])), "alg": f"{none}.{body}."}
        ids = []
        for name, token in bad.items():
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            url = f"http://{door.address}/querier.v1.QuerierService/LabelNames"
            try:
                with urlopen(Request(url, b"{}", headers), timeout=30) as answer:
                    sys.exit(f"{door.name} lets a token in that is bad by its {name}: {answer.status}")
            except HTTPError as refused:
                if refused.code != 401:
                    sys.exit(f"{door.name} answers {refused.code}, not 401, to a token that is bad by its {name}")
                ids.append(refused.headers["X-Request-Id"])
        return ids

    def stop(self, door: Door) -> None:
        """End a door as its pod is ended, so that its record is complete."""
        assert door.process
        _end(door.process)
        if door.process.returncode:
            sys.exit(f"{door.name} ended with {door.process.returncode}: {self.said(door)}")

    def said(self, door: Door) -> str:
        """What a door wrote to standard error."""
        return (self.folder / f"{door.name}.stderr").read_text()


def _namespaces() -> bool:
    if not shutil.which(NAMESPACE[0]):
        return False
    tried = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


def _free() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()
