"""The real Pyroscope as the microservices that prod declares: each rendered pod is a process of its own.

ConfigMaps are read byte for byte, arguments and environment are those of the pods, the root file system cannot be
written, certificates are made from the declared Certificates. Flags that come on top: addresses to listen on (all pods
share one machine), a folder instead of S3, and no waiting before a replica calls itself ready. It cannot prove S3, the
network policies, or the behaviour of several nodes.
"""

import base64
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import authority, certificate
from declared import differences
from podlike import Pod, ended, isolation
from servers import Answer, request, until

from flameplane import plan
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE

ROLES = ("metastore", "segment-writer", "distributor", "query-backend", "query-frontend", "compaction-worker")
METASTORES, WRITERS = 3, 2
READY = 180.0  # seconds, on a machine with two cores
TENANT = "payments"


@dataclass
class Backend:
    """The running pods, and the gateway's way to them."""

    pods: dict[str, Pod]
    config: dict[str, Any]
    gateway: ssl.SSLContext
    start: Callable[[Pod], None]
    authorities: Path

    def admin(self, name: str) -> str:
        return f"http://{self.pods[name].address}:4042"

    def call(self, role: str, method: str, body: object, tenant: str | None = TENANT) -> Answer:
        """A call as the gateway makes it: by the name of the Service, with its certificate."""
        headers = {"Content-Type": "application/json", **({"X-Scope-OrgID": tenant} if tenant else {})}
        return self._ask(role, method, json.dumps(body).encode(), headers, self.gateway)

    def _ask(self, role: str, path: str, body: bytes, headers: Mapping[str, str], context: ssl.SSLContext) -> Answer:
        address = self.pods[f"pyroscope-{role}"].address
        asked = urllib.request.Request(f"https://{address}:4040/{path}", body, dict(headers))
        try:
            with urllib.request.urlopen(asked, timeout=30, context=context) as answer:
                return Answer(answer.status, answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(errors="replace"))
        except OSError as error:
            return Answer(0, str(error))

    def push(self, service: str, sample: bytes, **labels: str) -> Answer:
        named = {"service_name": service, "__name__": "memory", **labels}
        pairs = [{"name": name, "value": value} for name, value in named.items()]
        series = {"labels": pairs, "samples": [{"rawProfile": base64.b64encode(sample).decode()}]}
        return self.call("distributor", "push.v1.PusherService/Push", {"series": [series]})

    def total(self, service: str, tenant: str = TENANT) -> int:
        """Bytes in use of a service, over the last hour: read from segments or blocks by the query backend."""
        now = int(time.time() * 1000)
        question = {
            "profile_typeID": "memory:inuse_space:bytes:space:bytes",
            "label_selector": f'{{service_name="{service}"}}',
            "start": now - 3_600_000,
            "end": now + 60_000,
        }
        answer = self.call("query-frontend", "querier.v1.QuerierService/SelectMergeStacktraces", question, tenant)
        return int((json.loads(answer.text).get("flamegraph") or {}).get("total", 0)) if answer.status == 200 else -1

    def leader(self) -> str | None:
        names = [f"pyroscope-metastore-{n}" for n in range(METASTORES)]
        alive = [n for n in names if (p := self.pods[n].process) and p.poll() is None]
        found = [n for n in alive if _leads(request(f"{self.admin(n)}/metrics").text)]
        return found[0] if len(found) == 1 else None


def _leads(metrics: str) -> bool:
    lines = [line for line in metrics.splitlines() if line.startswith("pyroscope_metastore_raft_state{")]
    return any('state="Leader"' in line and float(line.rpartition(" ")[2]) == 1 for line in lines)


def _free_network() -> str:
    """Three numbers of 127.x.y.z that no other run uses, as far as chance can tell."""
    stamp = time.time_ns() // 1000
    return f"127.{50 + stamp % 150}.{1 + stamp // 150 % 250}"


@pytest.fixture(scope="module")
def rendered(root: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    objects = [m for r in plan.record(root, "prod").resources if (m := plan.manifest(r))]
    return {(m["kind"], m["metadata"].get("namespace", ""), m["metadata"]["name"]): m for m in objects}


@pytest.fixture(scope="module")
def backend(
    rendered: dict[tuple[str, str, str], dict[str, Any]],
    pyroscope_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Backend]:
    isolation()
    folder, network = tmp_path_factory.mktemp("backend"), _free_network()
    ca = authority(folder / "ca")
    server, client = (
        certificate(ca, folder / name, rendered["Certificate", where, name]["spec"])
        for where, name in ((BACKEND_NAMESPACE, "pyroscope-tls"), (ACCESS_NAMESPACE, "gateway-backend-tls"))
    )
    files = {
        name: {key: text.encode() for key, text in rendered["ConfigMap", BACKEND_NAMESPACE, name]["data"].items()}
        for name in ("pyroscope-config", "pyroscope-overrides")
    }
    files["pyroscope-tls"] = {name: (server / name).read_bytes() for name in ("tls.crt", "tls.key", "ca.crt")}
    pods = {pod.name: pod for pod in _pods(rendered, folder, network)}
    hosts = _hosts(pods)
    blocks = folder / "blocks"
    blocks.mkdir()

    def start(pod: Pod) -> None:
        pod.start(pyroscope_binary, files, hosts, _flags(pod), BLOCKS=str(blocks))

    with ended(list(pods.values())):
        for pod in pods.values():
            start(pod)
        for pod in pods.values():
            pod.wait(lambda p=pod: request(f"http://{p.address}:4042/ready").status == 200, READY)
        config = yaml.safe_load(files["pyroscope-config"]["config.yaml"])
        yield Backend(pods, config, _client(ca, client), start, folder)


def _client(ca: Path, own: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca / "ca.crt"))
    context.check_hostname = False  # addresses of this machine; the CA is checked, names are in the cluster
    if own:
        context.load_cert_chain(own / "tls.crt", own / "tls.key")
    return context


def _pods(rendered: Mapping[tuple[str, str, str], Any], folder: Path, network: str) -> Iterator[Pod]:
    number = 1
    for role in (*ROLES, "tenant-settings"):
        kind = "StatefulSet" if role in ("metastore", "segment-writer") else "Deployment"
        spec = rendered[kind, BACKEND_NAMESPACE, f"pyroscope-{role}"]["spec"]
        assert role != "metastore" or spec["replicas"] == METASTORES
        replicas = {"metastore": METASTORES, "segment-writer": WRITERS}.get(role, 0)
        for name in [f"pyroscope-{role}-{n}" for n in range(replicas)] or [f"pyroscope-{role}"]:
            (folder / name).mkdir()
            yield Pod(name, f"{network}.{number}", spec["template"]["spec"], folder / name)
            number += 1


def _hosts(pods: Mapping[str, Pod]) -> str:
    """What DNS would answer: each replica by its own name, headless Services by all of theirs."""
    lines = ["127.0.0.1 localhost"]
    for pod in pods.values():
        role = pod.name.removeprefix("pyroscope-").rstrip("0123456789").rstrip("-")
        suffix = f"{BACKEND_NAMESPACE}.svc"
        names = [f"pyroscope-{role}-headless.{suffix}", f"{pod.name}.pyroscope-{role}-headless.{suffix}"]
        if role in ("distributor", "segment-writer", "query-frontend"):
            names.append(f"pyroscope-gossip.{suffix}")
        lines += [f"{pod.address} {name}" for name in names]
    return "\n".join(lines) + "\n"


def _flags(pod: Pod) -> list[str]:
    addresses = {
        "server.http-listen-address": pod.address,
        "server.grpc-listen-address": pod.address,
        "admin-server.http-listen-address": pod.address,
        "memberlist.bind-addr": pod.address,
        "metastore.raft.bind-address": f"{pod.address}:9099",
    }
    others = {
        "storage.backend": "filesystem",
        "storage.filesystem.dir": "/blocks",
        "segment-writer.min-ready-duration": "0s",
        "metastore.min-ready-duration": "0s",
        "shutdown-delay": "0s",
    }
    return [f"-{name}={value}" for name, value in (addresses | others).items()]


GIVEN_BY_THIS_TEST = (
    ("server", "http_listen_address"),
    ("server", "grpc_listen_address"),
    ("admin_server", "http_listen_address"),
    ("metastore", "raft", "bind_address"),
    ("storage", "backend"),
    ("shutdown_delay",),
    ("show_banner",),  # not shown when false
)


def test_every_part_runs_with_every_declared_value(backend: Backend) -> None:
    for name, pod in backend.pods.items():
        text = yaml.safe_dump(backend.config).replace("${POD_NAME}", name).replace("${POD_IP}", pod.address)
        runs = yaml.safe_load(request(f"{backend.admin(name)}/api/v1/status/config").text)
        assert differences(yaml.safe_load(text), runs, GIVEN_BY_THIS_TEST) == [], name


def test_every_probe_is_answered(backend: Backend) -> None:
    for name, pod in backend.pods.items():
        for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
            probe = pod.container[kind]["httpGet"]
            assert probe["port"] == "metrics"
            assert request(f"{backend.admin(name)}{probe['path']}").status == 200, (name, kind)


def test_without_a_certificate_of_the_ca_nobody_is_let_in(backend: Backend, tmp_path: Path) -> None:
    other = authority(tmp_path / "other")
    spec = {"usages": ["client auth"], "dnsNames": ["gateway"], "commonName": "gateway"}
    stranger = certificate(other, tmp_path / "stranger", spec)
    ca = backend.authorities / "ca"
    assert backend.call("query-frontend", "version.v1.Version/Version", {}).status == 200
    for context in (_client(ca, None), _client(ca, stranger)):
        answer = backend._ask("query-frontend", "version.v1.Version/Version", b"{}", {}, context)
        assert answer.status == 0, answer
    assert request(f"http://{backend.pods['pyroscope-distributor'].address}:4040/ready").status in (0, 400)


@pytest.mark.parametrize("pod", ["pyroscope-metastore-0", "pyroscope-segment-writer-0", "pyroscope-query-backend"])
def test_grpc_between_parts_asks_for_a_certificate(backend: Backend, pod: str) -> None:
    ca, address = backend.authorities / "ca", backend.pods[pod].address
    assert _greeting(address, _client(ca, backend.authorities / "pyroscope-tls"))
    with pytest.raises(ssl.SSLError, match="certificate required"):
        _greeting(address, _client(ca, None))


def _greeting(address: str, context: ssl.SSLContext) -> bytes:
    """The first bytes that a gRPC server sends. TLS 1.3 refuses after the handshake: at the first read."""
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((address, 9095), 10) as plain,
        context.wrap_socket(plain, server_hostname="pyroscope.flameplane-backend.svc") as secured,
    ):
        secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        return secured.recv(9)


def test_a_profile_is_found_by_its_tenant_alone(backend: Backend) -> None:
    sample = _heap(backend)
    pushed = backend.push("checkout", sample, version="1.2.3", span_name="GET /cart", user="jane@example.com")
    assert pushed.status == 200, pushed.text
    assert until(lambda: backend.total("checkout") > 0, 60), backend.pods["pyroscope-query-frontend"].log[-4000:]
    assert backend.total("checkout", "catalog") == 0


def test_labels_that_are_not_listed_are_not_stored(backend: Backend) -> None:
    now = int(time.time() * 1000)
    backend.push("labelled", _heap(backend), version="1.2.3", span_name="GET /cart", user="jane@example.com")
    question = {"matchers": ['{service_name="labelled"}'], "start": now - 3_600_000, "end": now + 60_000}

    def names() -> set[str]:
        answer = backend.call("query-frontend", "querier.v1.QuerierService/LabelNames", question)
        return set(json.loads(answer.text).get("names", [])) if answer.status == 200 else set()

    assert until(lambda: "version" in names(), 60), names()
    assert not names() & {"span_name", "user"}


def test_it_survives_the_loss_of_the_leader(backend: Backend) -> None:
    """Killed as by a node that loses power: the others elect a new one, and what was stored is still found."""
    sample = _heap(backend)
    assert backend.push("before", sample).status == 200
    assert until(lambda: backend.total("before") > 0, 60)
    leader = backend.leader()
    assert leader
    backend.pods[leader].kill()
    began = time.monotonic()
    assert until(lambda: backend.push("after", sample).status == 200, 60)
    assert until(lambda: backend.total("after") > 0, 60)
    print(f"written and found {time.monotonic() - began:.1f} s after the leader was killed")
    assert backend.total("before") > 0
    assert backend.leader() not in (None, leader)
    backend.start(backend.pods[leader])
    backend.pods[leader].wait(lambda: request(f"{backend.admin(leader)}/ready").status == 200, READY)


def test_index_outlives_a_restart_of_all_metastores(backend: Backend) -> None:
    """It is on the claims: with them lost, every query would be empty."""
    assert backend.push("kept", _heap(backend)).status == 200
    assert until(lambda: backend.total("kept") > 0, 60)
    metastores = [pod for name, pod in backend.pods.items() if "metastore" in name]
    for pod in metastores:
        pod.kill()
    for pod in metastores:
        backend.start(pod)
    for pod in metastores:
        pod.wait(lambda p=pod: request(f"http://{p.address}:4042/ready").status == 200, READY)
    assert until(lambda: backend.total("kept") > 0, 60)


def _heap(backend: Backend) -> bytes:
    """A real pprof: Pyroscope's own heap."""
    address = backend.pods["pyroscope-distributor"].address
    with urllib.request.urlopen(f"http://{address}:4042/debug/pprof/heap", timeout=30) as answer:
        return bytes(answer.read())
