"""Who talks to whom: every edge of the platform's network, as it was reviewed.

An edge stands at the program whose pods it is about, in the direction in which a connection is made. Peers are written
`namespace/program`, `namespace/*`, `namespace/label=value`, an address range, or `range but range,range`. What depends
on the environment is taken from its settings, as they are written (`flameplane:` of stacks/Pulumi.<environment>.yaml).
Nothing else is open: what is not described here is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from schemas.allowed import (
    ACCESS_NAMESPACE,
    AGENT_NAMESPACE,
    BACKEND_NAMESPACE,
    EBPF_TYPES,
    EGRESS_PROXY,
    INJECTED_LANGUAGES,
    INTERNET_PORT,
    POD_IDENTITY_ADDRESS,
    PRIVATE_RANGES,
    SYSTEM_NAMESPACE,
)

AGENT: Final = f"{AGENT_NAMESPACE}/flameplane-node"
GATEWAY: Final = f"{ACCESS_NAMESPACE}/gateway"
GRAFANA: Final = f"{ACCESS_NAMESPACE}/grafana"
PROXY: Final = f"{SYSTEM_NAMESPACE}/{EGRESS_PROXY}"
DOWNSAMPLE, DRIFT, COST = (f"{SYSTEM_NAMESPACE}/flameplane-{job}" for job in ("downsample", "drift", "cost-report"))
PROBE: Final = f"{SYSTEM_NAMESPACE}/network-probe"
JOBS: Final = (DOWNSAMPLE, DRIFT, COST)
PYROSCOPE: Final = f"{BACKEND_NAMESPACE}/pyroscope"
DEVSTORE: Final = f"{BACKEND_NAMESPACE}/devstore"
STORAGE: Final = f"{BACKEND_NAMESPACE}/object-storage"
DNS: Final = "kube-system/k8s-app=kube-dns"
INTERNET: Final = f"0.0.0.0/0 but {','.join(sorted(PRIVATE_RANGES))}"

HTTP: Final = 4040  # profiles in and out
METRICS: Final = 4041  # of our own programs
RECEIVER_METRICS: Final = 4042
ADMIN: Final = 4042  # Pyroscope's: /metrics beside /ops, so it is for Prometheus' own pods alone
GRPC, RAFT, GOSSIP = 9095, 9099, 7946
GRAFANA_PORT, PROXY_PORT, STORAGE_PORT = 3000, 3128, 8333
# What the probe's pods try on each other: open both ways, closed on the way in, closed on the way out.
PROBE_OPEN, PROBE_NO_INGRESS, PROBE_NO_EGRESS = 8090, 8091, 8092
APP: Final = "app.kubernetes.io/name"

# Roles of Pyroscope's microservices: those that the gateway calls, those that keep the ring, and who calls whom by gRPC
# (Pyroscope's module table, `pkg/pyroscope/pyroscope.go`).
DOORS: Final = ("distributor", "query-frontend", "tenant-settings")
RING: Final = ("distributor", "segment-writer", "query-frontend")
CALLS: Final = (
    ("distributor", "segment-writer"),
    ("segment-writer", "metastore"),
    ("compaction-worker", "metastore"),
    ("query-frontend", "metastore"),
    ("metastore", "metastore"),
    ("query-frontend", "query-backend"),
    ("query-backend", "query-backend"),
)
ROLES: Final = (*DOORS, "segment-writer", "metastore", "compaction-worker", "query-backend")

# All programs that an environment can have; each runs under its own name, as a service account of that name.
PROGRAMS: Final = (
    AGENT,
    GATEWAY,
    GRAFANA,
    PROXY,
    PROBE,
    *JOBS,
    STORAGE,
    DEVSTORE,
    PYROSCOPE,
    *(f"{PYROSCOPE}-{r}" for r in ROLES),
)

# Labels by which pods are let through beside their own name; nobody else may carry them.
CLIENT_LABEL: Final = "flameplane.dev/gateway-client"
GOSSIP_LABEL: Final = "flameplane.dev/gossip"
LABELLED: Final = {
    CLIENT_LABEL: JOBS,  # read and write at the gateway
    GOSSIP_LABEL: tuple(f"{PYROSCOPE}-{role}" for role in RING),  # found by the Service of the ring
}


class Edge(NamedTuple):
    """One opening of one program's pods."""

    program: str  # namespace/name
    arrow: str  # "->" it connects there, "<-" it is connected to
    peer: str
    port: str  # TCP/4040

    def __str__(self) -> str:
        return f"{self.program} {self.arrow} {self.peer} {self.port}"


class Scrape(NamedTuple):
    """A service's pprof endpoint: who it is, and where."""

    namespace: str
    selector: str  # label=value,label=value; a program's own name as it is
    port: int


def said(settings: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """A value of the settings at a dotted path."""
    value: Any = settings
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return default if value is None else value


def edges(settings: Mapping[str, Any], scrapes: Iterable[Scrape], senders: Iterable[str]) -> Iterator[Edge]:
    """Every edge of an environment. ``scrapes``: pprof endpoints of declared services; ``senders``: namespaces whose
    pods push to the receiver."""
    for program in programs(settings):  # names are looked up by everybody
        yield from _out(program, DNS, "UDP/53", "TCP/53")
    yield from _agent(settings, scrapes, senders)
    yield from _jobs(settings)
    yield from _gateway(settings)
    yield from _grafana(settings)
    yield from _proxy(settings)
    yield from _probe(settings)
    yield from _backend(settings)


def programs(settings: Mapping[str, Any]) -> list[str]:
    """Every program of an environment."""
    found = [AGENT, GATEWAY, PROBE, *JOBS, *parts(settings)]
    found += [GRAFANA] if own_grafana(settings) else []
    found += [PROXY] if said(settings, "regression.egressHosts") else []
    return found + ([STORAGE] if said(settings, "backend.objectStorage.kind") == "seaweedfs" else [])


def parts(settings: Mapping[str, Any]) -> list[str]:
    """The backend's programs."""
    return [f"{PYROSCOPE}-{role}" for role in ROLES] if apart(settings) else [whole(settings)]


def whole(settings: Mapping[str, Any]) -> str:
    """The backend that is one program."""
    return DEVSTORE if said(settings, "backend.architecture") == "devstore" else PYROSCOPE


def own_grafana(settings: Mapping[str, Any]) -> bool:
    """Whether Grafana is the platform's own."""
    return bool(said(settings, "correlation.grafana.mode") == "own")


def anywhere() -> set[Edge]:
    """What may be open between programs of the platform in some environment: for where the settings are not known."""
    found: set[Edge] = set()
    urls = dict.fromkeys(("tracesUrl", "prometheusUrl"), "http://server.elsewhere.svc:80")
    for architecture in ("devstore", "process", "microservices"):
        for grafana in ({"mode": "own"}, {"mode": "existing", "namespace": SYSTEM_NAMESPACE}):
            settings = {
                "backend": {"architecture": architecture},
                "correlation": {"grafana": grafana, **urls},
                "regression": {"egressHosts": ["elsewhere"]},
            }
            found.update(edges(settings, (), ()))
    return found


def scraped(spec: Mapping[str, Any]) -> Scrape | None:
    """What the receiver scrapes of a declared service: Go's profiles that the eBPF agent cannot take."""
    language, profiling = spec.get("language") or {}, spec.get("profiling") or {}
    if language.get("name") != "go" or not _inside(profiling):
        return None
    workload = spec.get("workload") or {}
    return Scrape(
        str(workload.get("namespace")), labels_text(workload.get("selector") or {}), int(language.get("pprofPort") or 0)
    )


def sends(spec: Mapping[str, Any]) -> bool:
    """Whether an agent in the pods of a declared service pushes to the receiver."""
    return said(spec, "language.name") in INJECTED_LANGUAGES and _inside(spec.get("profiling") or {})


def labels_text(labels: Mapping[str, Any]) -> str:
    """A set of labels as peers are written."""
    if set(labels) == {APP}:
        return str(labels[APP])
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def _inside(profiling: Mapping[str, Any]) -> bool:
    beyond = any(str(t) not in EBPF_TYPES for t in profiling.get("types") or ())
    return bool(profiling.get("sampleRateHz")) and (beyond or profiling.get("cpuSource") == "agent")


def apart(settings: Mapping[str, Any]) -> bool:
    """Whether the backend runs as microservices."""
    return bool(said(settings, "backend.architecture") == "microservices")


def _out(program: str, peer: str, *ports: int | str) -> Iterator[Edge]:
    yield from (Edge(program, "->", peer, port if isinstance(port, str) else f"TCP/{port}") for port in ports)


def _in(program: str, peer: str, *ports: int) -> Iterator[Edge]:
    yield from (Edge(program, "<-", peer, f"TCP/{port}") for port in ports)


def _prometheus(settings: Mapping[str, Any]) -> str:
    return str(said(settings, "alerts.prometheusNamespace"))


def _port(url: str) -> int:
    parsed = urlsplit(url)
    return parsed.port or (443 if parsed.scheme == "https" else 80)


def _agent(settings: Mapping[str, Any], scrapes: Iterable[Scrape], senders: Iterable[str]) -> Iterator[Edge]:
    yield from _out(AGENT, GATEWAY, HTTP)
    yield from _out(AGENT, said(settings, "cluster.apiServer"), 443, 6443)  # watches the pods of its node
    yield from _in(AGENT, f"{_prometheus(settings)}/*", METRICS, RECEIVER_METRICS)
    for one in scrapes:
        yield from _out(AGENT, f"{one.namespace}/{one.selector}", one.port)
    if among := sorted(set(senders)):
        yield from _in(AGENT, f"{{{','.join(among)}}}/*", HTTP)


def _jobs(settings: Mapping[str, Any]) -> Iterator[Edge]:
    for job in JOBS:
        yield from _out(job, GATEWAY, HTTP)
        # Reads request rates, writes its figures.
        yield from _out(job, f"{_prometheus(settings)}/*", _port(said(settings, "correlation.prometheusUrl", "")))
    yield from _out(DOWNSAMPLE, said(settings, "cluster.apiServer"), 443, 6443)  # its lock


def _gateway(settings: Mapping[str, Any]) -> Iterator[Edge]:
    """The only door to the backend."""
    yield from _in(GATEWAY, AGENT, HTTP)
    for space in (SYSTEM_NAMESPACE, ACCESS_NAMESPACE):
        yield from _in(GATEWAY, f"{space}/{CLIENT_LABEL}=true", HTTP)
    grafana = ACCESS_NAMESPACE if own_grafana(settings) else said(settings, "correlation.grafana.namespace")
    yield from _in(GATEWAY, f"{grafana}/grafana", HTTP)
    if ingress := said(settings, "access.ingressNamespace"):  # people and CI, who come with tokens
        yield from _in(GATEWAY, f"{ingress}/*", HTTP)
    yield from _in(GATEWAY, f"{_prometheus(settings)}/*", METRICS)
    yield from _out(GATEWAY, said(settings, "cluster.apiServer"), 443, 6443)  # token reviews, grants used up
    if issuer := said(settings, "access.egress"):  # its signing keys
        yield from _out(GATEWAY, issuer, 443)
    if said(settings, "cloud"):  # audit records, with the gateway's own role
        yield from _out(GATEWAY, f"{POD_IDENTITY_ADDRESS}/32", 80)
        if storage := said(settings, "backend.objectStorage.egress"):
            yield from _out(GATEWAY, storage, 443)


def _grafana(settings: Mapping[str, Any]) -> Iterator[Edge]:
    """People come by the ingress; out to what it shows, the issuer and its database: never to the backend."""
    if not own_grafana(settings):
        return
    yield from _out(GRAFANA, GATEWAY, HTTP)
    for key in ("tracesUrl", "prometheusUrl"):
        url = said(settings, f"correlation.{key}", "")
        yield from _out(GRAFANA, f"{urlsplit(url).netloc.partition(':')[0].split('.')[1]}/*", _port(url))
    if issuer := said(settings, "access.egress"):
        yield from _out(GRAFANA, issuer, 443)
    if database := said(settings, "correlation.grafana.database"):
        yield from _out(GRAFANA, database["egress"], int(database.get("port") or 5432))
    if ingress := said(settings, "access.ingressNamespace"):
        yield from _in(GRAFANA, f"{ingress}/*", GRAFANA_PORT)


def _proxy(settings: Mapping[str, Any]) -> Iterator[Edge]:
    """The notifier's way out, and the only one to the internet."""
    if not said(settings, "regression.egressHosts"):
        return
    yield from _out(DRIFT, PROXY, PROXY_PORT)
    yield from _in(PROXY, DRIFT, PROXY_PORT)
    yield from _out(PROXY, INTERNET, INTERNET_PORT)
    if hosts := said(settings, "regression.egress"):
        yield from _out(PROXY, hosts, INTERNET_PORT)


def _probe(settings: Mapping[str, Any]) -> Iterator[Edge]:
    """Open on one side only: who gets through has shown that nobody closes the other."""
    yield from _out(PROBE, PROBE, PROBE_OPEN, PROBE_NO_INGRESS)
    yield from _in(PROBE, PROBE, PROBE_OPEN, PROBE_NO_EGRESS)
    yield from _in(PROBE, f"{_prometheus(settings)}/*", METRICS)


def _backend(settings: Mapping[str, Any]) -> Iterator[Edge]:
    called = [f"{PYROSCOPE}-{role}" for role in DOORS] if apart(settings) else parts(settings)
    for door in called:
        yield from _out(GATEWAY, door, HTTP)
        yield from _in(door, GATEWAY, HTTP)
    for part in parts(settings):
        if part == DEVSTORE:  # /metrics has a port of its own, and profiles lie on its disk
            yield from _in(part, f"{_prometheus(settings)}/*", METRICS)
            continue
        yield from _in(part, f"{_prometheus(settings)}/prometheus", ADMIN)
        yield from _storage(settings, part)
    if apart(settings):
        calls = [(caller, callee, GRPC) for caller, callee in CALLS]
        calls += [("metastore", "metastore", RAFT)]  # knows neither TLS nor passwords
        calls += [(one, other, GOSSIP) for one in RING for other in RING]
        for caller, callee, port in calls:
            yield from _out(f"{PYROSCOPE}-{caller}", f"{PYROSCOPE}-{callee}", port)
            yield from _in(f"{PYROSCOPE}-{callee}", f"{PYROSCOPE}-{caller}", port)


def _storage(settings: Mapping[str, Any], part: str) -> Iterator[Edge]:
    storage = said(settings, "backend.objectStorage", {})
    if egress := storage.get("egress"):
        yield from _out(part, egress, 443)
        if not storage.get("credentialsSecret"):
            yield from _out(part, f"{POD_IDENTITY_ADDRESS}/32", 80)
    else:
        yield from _out(part, STORAGE, STORAGE_PORT)
        yield from _in(STORAGE, part, STORAGE_PORT)
