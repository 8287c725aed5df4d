"""The backend: which of its parts may talk to which, what they listen on, how they are started and kept apart.

Computed from the architecture that the settings name, without a look at the components.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from guards.stack import Guard, Stack
from policies.objects import at, containers, documents, items, label, name, namespace, pod
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE

APP = "app.kubernetes.io/name"
GATEWAY = f"{ACCESS_NAMESPACE}/gateway"
PROCESS, STORAGE = f"{BACKEND_NAMESPACE}/pyroscope", f"{BACKEND_NAMESPACE}/object-storage"
DEVSTORE = f"{BACKEND_NAMESPACE}/devstore"
STARTED = ["--listen=:4040", "--metrics=:4041", "--data=/data", "--overrides=/etc/devstore/overrides.yaml"]
DOORS = ("distributor", "query-frontend", "tenant-settings")
RING = ("distributor", "segment-writer", "query-frontend")  # these gossip
# Who calls whom by gRPC.
CALLS = (
    ("distributor", "segment-writer"),
    ("segment-writer", "metastore"),
    ("compaction-worker", "metastore"),
    ("query-frontend", "metastore"),
    ("metastore", "metastore"),
    ("query-frontend", "query-backend"),
    ("query-backend", "query-backend"),
)
ROLES = ("metastore", "segment-writer", "distributor", "compaction-worker", "query-backend", *DOORS[1:])
FLAGS = ["-config.file=/etc/pyroscope/config/config.yaml", "-config.expand-env=true", "-debug-info.enabled=false"]
GRPC, RAFT, GOSSIP = 9095, 9099, 7946
TLS = {"cert_file": "tls.crt", "key_file": "tls.key", "client_ca_file": "ca.crt"}


def apart(stack: Stack) -> bool:
    """Whether the backend runs as microservices."""
    return stack.settings.backend.architecture == "microservices"


def _part(role: str) -> str:
    return f"{PROCESS}-{role}"


def parts(stack: Stack) -> list[str]:
    """The backend's programs, as ``namespace/app``."""
    return [_part(role) for role in ROLES] if apart(stack) else [whole(stack)]


def whole(stack: Stack) -> str:
    """The backend that is one program."""
    return DEVSTORE if stack.settings.backend.architecture == "devstore" else PROCESS


def doors(stack: Stack) -> list[str]:
    """Those that the gateway calls."""
    return [_part(role) for role in DOORS] if apart(stack) else [whole(stack)]


def flows(stack: Stack) -> Iterator[str]:
    """Every flow from, to and inside the backend."""
    prometheus = stack.settings.alerts.prometheus_namespace
    for part in parts(stack):
        yield f"{part} isolated both ways"
        yield f"{part} <- {prometheus}/{'* TCP/4041' if part == DEVSTORE else 'prometheus TCP/4042'}"
    for door in doors(stack):
        yield f"{GATEWAY} -> {door} TCP/4040"
        yield f"{door} <- {GATEWAY} TCP/4040"
    yield from _storage(stack)
    if apart(stack):
        calls = [(caller, called, GRPC) for caller, called in CALLS] + [("metastore", "metastore", RAFT)]
        calls += [(one, other, GOSSIP) for one in RING for other in RING]
        for caller, called, port in calls:
            yield f"{_part(caller)} -> {_part(called)} TCP/{port}"
            yield f"{_part(called)} <- {_part(caller)} TCP/{port}"


def _storage(stack: Stack) -> Iterator[str]:
    storage = stack.settings.backend.object_storage
    if storage.kind == "seaweedfs":
        yield f"{STORAGE} isolated both ways"
    for part in (p for p in parts(stack) if p != DEVSTORE):  # which has a disk of its own
        if storage.kind == "s3":
            yield f"{part} -> {storage.egress} TCP/443"
            if storage.credentials_secret is None:  # EKS Pod Identity hands out credentials there
                yield f"{part} -> 169.254.170.23/32 TCP/80"
        else:
            yield f"{part} -> {STORAGE} TCP/8333"
            yield f"{STORAGE} <- {part} TCP/8333"


def services(stack: Stack) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Service -> selector and the container ports it leads to; the admin port is behind none."""
    if whole(stack) == DEVSTORE:
        return {DEVSTORE: ({APP: "devstore"}, ["http"])}
    if not apart(stack):
        return {service: ({APP: "pyroscope"}, ["http"]) for service in (PROCESS, f"{PROCESS}-headless")}
    found = {_part(role): ({APP: f"pyroscope-{role}"}, ["http"]) for role in DOORS}
    found |= {f"{_part(r)}-headless": ({APP: f"pyroscope-{r}"}, ["grpc"]) for r in ("segment-writer", "query-backend")}
    found[f"{_part('metastore')}-headless"] = ({APP: "pyroscope-metastore"}, ["grpc", "raft"])
    return found | {f"{PROCESS}-gossip": ({"flameplane.dev/gossip": "true"}, ["gossip"])}


def backend_is_started_as_listed(stack: Stack) -> Iterator[str]:
    """Each part by its role and no other flag; what the gateway does not call listens for HTTP inside its pod alone."""
    found = {name(m): m for m in stack.of("StatefulSet", "Deployment") if namespace(m) == BACKEND_NAMESPACE}
    found.pop("object-storage", None)
    if sorted(found) != sorted(part.partition("/")[2] for part in parts(stack)):
        yield f"the backend consists of {sorted(found)}"
    for called, manifest in found.items():
        role = called.removeprefix("pyroscope").removeprefix("-")
        closed = ["-server.http-listen-address=127.0.0.1"] if role and role not in DOORS else []
        expected = STARTED if called == "devstore" else [*FLAGS, *([f"-target={role}"] if role else []), *closed]
        for container in containers(manifest):
            if list(items(container.body.get("args"))) != expected:
                yield f"{label(manifest)} is started with {list(items(container.body.get('args')))}"
        labels = at(manifest, "spec", "template", "metadata", "labels") or {}
        if (labels.get("flameplane.dev/gossip") == "true") != (role in RING):
            yield f"{label(manifest)}: label flameplane.dev/gossip is {labels.get('flameplane.dev/gossip')}"


def metastores_are_three_and_apart(stack: Stack) -> Iterator[str]:
    """Two on one node would go down together, and with them the majority."""
    for manifest in stack.of("StatefulSet"):
        if name(manifest) == "pyroscope-metastore":
            if at(manifest, "spec", "replicas") != 3:
                yield f"{label(manifest)} has {at(manifest, 'spec', 'replicas')} replicas"
            rule = "requiredDuringSchedulingIgnoredDuringExecution"
            terms = list(items(at(pod(manifest), "affinity", "podAntiAffinity", rule)))
            same = {"matchLabels": {APP: "pyroscope-metastore"}}
            if {"topologyKey": "kubernetes.io/hostname", "labelSelector": same} not in terms:
                yield f"{label(manifest)} may run twice on a node"


def backend_asks_for_certificates(stack: Stack) -> Iterator[str]:
    """HTTP from the gateway and gRPC between parts: both sides show a certificate of the platform's CA."""
    if whole(stack) == DEVSTORE:  # environment local alone: one machine, no certificates
        return
    (config,) = [documents(m) for m in stack.named("ConfigMap", BACKEND_NAMESPACE, "pyroscope-config")] or [{}]
    config = config.get("config.yaml") or {}
    server, tls = config.get("server") or {}, stack.settings.backend.tls
    wanted = {k: f"/etc/pyroscope/tls/{f}" for k, f in TLS.items()} | {"client_auth_type": "RequireAndVerifyClientCert"}
    for key, asked in (("http_tls_config", tls), ("grpc_tls_config", tls and apart(stack))):
        if server.get(key) != (wanted if asked else None):
            yield f"config.yaml: server.{key} is {server.get(key)}"
    clients = ("metastore", "segment_writer", "query_backend") if tls and apart(stack) else ()
    for client in clients:
        grpc = at(config, client, "grpc_client_config") or {}
        if not grpc.get("tls_enabled") or grpc.get("tls_insecure_skip_verify") or not grpc.get("tls_ca_path"):
            yield f"config.yaml: {client}.grpc_client_config is {grpc}"
        if grpc.get("tls_server_name") != "pyroscope.flameplane-backend.svc":
            yield f"config.yaml: {client} takes a certificate of {grpc.get('tls_server_name')}"


def certificates_are_those_of_the_platform(stack: Stack) -> Iterator[str]:
    """Made by the CA that the settings name, each for its end of a call; none of them can sign others."""
    tls = stack.settings.backend.tls
    if tls is None or tls.issuer is None:
        return
    issuer = {"name": tls.issuer, "kind": "ClusterIssuer", "group": "cert-manager.io"}
    ends = {
        (BACKEND_NAMESPACE, "pyroscope-tls"): ["client auth", "digital signature", "server auth"],
        (ACCESS_NAMESPACE, "gateway-backend-tls"): ["client auth", "digital signature"],
    }
    for (where, called), usages in ends.items():
        spec: Mapping[str, Any] = next((m["spec"] for m in stack.named("Certificate", where, called)), {})
        found = (spec.get("secretName"), spec.get("issuerRef"), sorted(items(spec.get("usages"))), spec.get("isCA"))
        if found != (called, issuer, usages, None):
            yield f"Certificate {where}/{called}: {found}"
        if any(not str(one).endswith(f".{where}.svc") for one in items(spec.get("dnsNames"))):
            yield f"Certificate {where}/{called} is for {spec.get('dnsNames')}"


GUARDS = (
    Guard(certificates_are_those_of_the_platform, ("Certificate",)),
    Guard(backend_is_started_as_listed, ("StatefulSet", "Deployment")),
    Guard(metastores_are_three_and_apart, ("StatefulSet",)),
    Guard(backend_asks_for_certificates, ("ConfigMap",)),
)
