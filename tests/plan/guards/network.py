"""Who may talk to whom. The list is short enough to be read, and a change of it is a change of the design."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from guards import backend
from guards.stack import Guard, Stack
from policies.objects import at, items, label, name, namespace
from policies.rule import Manifest
from schemas.allowed import (
    ACCESS_NAMESPACE,
    AGENT_NAMESPACE,
    BACKEND_NAMESPACE,
    EBPF_TYPES,
    NAMESPACES,
    SYSTEM_NAMESPACE,
)

NAMESPACE = "kubernetes.io/metadata.name"
APP = "app.kubernetes.io/name"
AGENT, GATEWAY = f"{AGENT_NAMESPACE}/flameplane-node", f"{ACCESS_NAMESPACE}/gateway"
STORAGE = f"{BACKEND_NAMESPACE}/object-storage"
GRAFANA, PROXY = f"{ACCESS_NAMESPACE}/grafana", f"{SYSTEM_NAMESPACE}/egress-proxy"
PROBE = f"{SYSTEM_NAMESPACE}/network-probe"
# Public addresses: what is private, shared, link-local (the node's credentials), multicast or reserved stays closed.
INTERNET = (
    "0.0.0.0/0 but 0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16,"
    "224.0.0.0/4,240.0.0.0/4"
)
DOWNSAMPLE, DRIFT, COST = (f"{SYSTEM_NAMESPACE}/flameplane-{job}" for job in ("downsample", "drift", "cost-report"))
# Service -> the pods behind it and the container ports it leads to; each is one of ours and none is an admin port.
SERVICES = {
    f"{AGENT_NAMESPACE}/node-receiver": ("flameplane-node", ["http"]),
    GATEWAY: ("gateway", ["http"]),
    STORAGE: ("object-storage", ["s3"]),
    PROXY: ("egress-proxy", ["proxy"]),
    PROBE: ("network-probe", ["open"]),
    GRAFANA: ("grafana", ["http"]),
}


def traffic_is_what_is_listed(stack: Stack) -> Iterator[str]:
    """Every flow that a NetworkPolicy opens, no more and no less; every policy isolates in both directions."""
    expected, found = set(_expected(stack)), set(_found(stack))
    yield from (f"opened, but not listed: {flow}" for flow in sorted(found - expected))
    yield from (f"listed, but not opened: {flow}" for flow in sorted(expected - found))


def _expected(stack: Stack) -> Iterator[str]:
    settings = stack.settings
    prometheus = settings.alerts.prometheus_namespace
    for one in NAMESPACES:
        yield f"{one}/* isolated both ways"
        yield f"{one}/* -> kube-system/k8s-app=kube-dns UDP/53"
        yield f"{one}/* -> kube-system/k8s-app=kube-dns TCP/53"
    for app in (AGENT, GATEWAY, DOWNSAMPLE, DRIFT, COST, PROBE):
        yield f"{app} isolated both ways"
    for app in (AGENT, DOWNSAMPLE, DRIFT, COST):
        yield f"{app} -> {GATEWAY} TCP/4040"
    for app in (AGENT, GATEWAY, DOWNSAMPLE):
        yield from (f"{app} -> {settings.cluster.api_server} TCP/{port}" for port in (443, 6443))
    yield f"{GATEWAY} <- {AGENT} TCP/4040"
    yield f"{GATEWAY} <- {settings.correlation.grafana_namespace}/grafana TCP/4040"
    for client in (SYSTEM_NAMESPACE, ACCESS_NAMESPACE):
        yield f"{GATEWAY} <- {client}/flameplane.dev/gateway-client=true TCP/4040"
    yield f"{GATEWAY} <- {prometheus}/* TCP/4041"
    yield from (f"{AGENT} <- {prometheus}/* TCP/{port}" for port in (4041, 4042))
    for job in (DOWNSAMPLE, DRIFT, COST):
        yield f"{job} -> {prometheus}/* TCP/9090"
    if settings.access.egress:
        yield f"{GATEWAY} -> {settings.access.egress} TCP/443"
    if settings.access.ingress_namespace:
        yield f"{GATEWAY} <- {settings.access.ingress_namespace}/* TCP/4040"
    if settings.cloud:
        yield f"{GATEWAY} -> 169.254.170.23/32 TCP/80"
        yield f"{GATEWAY} -> {settings.backend.object_storage.egress} TCP/443"
    yield f"{PROBE} <- {prometheus}/* TCP/4041"
    for port in (8090, 8091):  # 8092 it must not call
        yield f"{PROBE} -> {PROBE} TCP/{port}"
    for port in (8090, 8092):  # 8091 must not be called
        yield f"{PROBE} <- {PROBE} TCP/{port}"
    yield from _proxy(stack)
    yield from _grafana(stack)
    yield from backend.flows(stack)
    yield from _services(stack)


def _proxy(stack: Stack) -> Iterator[str]:
    """The notifier's way out, where hosts are listed: one client, public addresses, one private range at most."""
    regression = stack.settings.regression
    if regression.egress_hosts:
        yield f"{PROXY} isolated both ways"
        yield f"{DRIFT} -> {PROXY} TCP/3128"
        yield f"{PROXY} <- {DRIFT} TCP/3128"
        yield f"{PROXY} -> {INTERNET} TCP/443"
        if regression.egress:
            yield f"{PROXY} -> {regression.egress} TCP/443"


def _grafana(stack: Stack) -> Iterator[str]:
    """A Grafana of our own: people by the ingress; out to what it shows, the issuer and its database."""
    settings, grafana = stack.settings, stack.settings.correlation.grafana
    if grafana.mode == "own":
        yield f"{GRAFANA} isolated both ways"
        yield f"{GRAFANA} -> {GATEWAY} TCP/4040"
        for url in (settings.correlation.traces_url, settings.correlation.prometheus_url):
            host, port = urlsplit(url).netloc.split(":")
            yield f"{GRAFANA} -> {host.split('.')[1]}/* TCP/{port}"
        if settings.access.egress:
            yield f"{GRAFANA} -> {settings.access.egress} TCP/443"
        if grafana.database:
            yield f"{GRAFANA} -> {grafana.database.egress} TCP/{grafana.database.port}"
        if settings.access.ingress_namespace:
            yield f"{GRAFANA} <- {settings.access.ingress_namespace}/* TCP/3000"


def _services(stack: Stack) -> Iterator[str]:
    """What the declared services ask for: agents in their pods that push, pprof endpoints that are scraped."""
    senders = sorted({s.spec.workload.namespace for s in stack.catalog.services if s.injected})
    if senders:
        yield f"{AGENT} <- {NAMESPACE} In {senders} TCP/4040"
    for service in stack.catalog.services:
        language, profiling, workload = service.spec.language, service.spec.profiling, service.spec.workload
        beyond = profiling.cpu_source == "agent" or any(t not in EBPF_TYPES for t in profiling.types)
        if language.name == "go" and profiling.sample_rate_hz and beyond:
            yield f"{AGENT} -> {workload.namespace}/{_labels(workload.selector)} TCP/{language.pprof_port}"


def _found(stack: Stack) -> Iterator[str]:
    for policy in stack.of("NetworkPolicy"):
        spec = policy["spec"]
        subject = f"{namespace(policy)}/{_selector(spec.get('podSelector'))}"
        if set(items(spec.get("policyTypes"))) == {"Ingress", "Egress"}:
            yield f"{subject} isolated both ways"
        for rules, peers, arrow in (("ingress", "from", "<-"), ("egress", "to", "->")):
            for rule in items(spec.get(rules)):
                for peer in items(rule.get(peers)) or [{}]:
                    for port in items(rule.get("ports")) or [{}]:
                        yield f"{subject} {arrow} {_peer(policy, peer)} {_port(port)}"


def _peer(policy: Manifest, peer: Mapping[str, Any]) -> str:
    if block := peer.get("ipBlock"):
        return f"{block['cidr']} but {','.join(block['except'])}" if block.get("except") else str(block["cidr"])
    spaces = peer.get("namespaceSelector")
    if spaces is None and peer.get("podSelector") is None:
        return "everyone"
    where = namespace(policy) if spaces is None else at(spaces, "matchLabels", NAMESPACE)
    if where is None or len(spaces or {}) > 1:
        return _selector(spaces)
    return f"{where}/{_selector(peer.get('podSelector'))}"


def _selector(selector: Mapping[str, Any] | None) -> str:
    expressions = [
        f"{e['key']} {e['operator']} {e.get('values')}" for e in items((selector or {}).get("matchExpressions"))
    ]
    labels = (selector or {}).get("matchLabels")
    return " ".join([*([_labels(labels)] if labels else []), *expressions]) or "*"


def _labels(labels: Mapping[str, str]) -> str:
    return labels[APP] if set(labels) == {APP} else ",".join(f"{k}={v}" for k, v in sorted(labels.items()))


def _port(port: Mapping[str, Any]) -> str:
    end = f"-{port['endPort']}" if port.get("endPort") else ""
    return f"{port.get('protocol', 'any')}/{port.get('port', 'any')}{end}"


def services_lead_to_their_own_pods(stack: Stack) -> Iterator[str]:
    for service in stack.of("Service"):
        spec, called = service["spec"], f"{namespace(service)}/{name(service)}"
        found = (spec.get("selector"), [port.get("targetPort") for port in items(spec.get("ports"))])
        demo = (name(service), ["http"]) if stack.settings.demo and namespace(service) not in NAMESPACES else ("", [])
        app, ports = SERVICES.get(called, demo)
        if found != backend.services(stack).get(called, ({APP: app}, ports)):
            yield f"{label(service)} leads to {found}"
        if name(service) == "node-receiver" and spec.get("internalTrafficPolicy") != "Local":
            yield f"{label(service)} leads to other nodes: a receiver knows the pods of its own node only"
        if called == PROBE and spec.get("ipFamilyPolicy") != "PreferDualStack":
            yield f"{label(service)} names addresses of one family: the other could be open"


GUARDS = (
    Guard(traffic_is_what_is_listed, ("NetworkPolicy",)),
    Guard(services_lead_to_their_own_pods, ("Service",)),
)
