"""Nothing of the platform is reachable from outside the cluster by itself."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import WORKLOADS, at, breaks, containers, items, name, namespace, whole
from policies.routes import unlike
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import ACCESS_NAMESPACE, NAMESPACES, OBJECT_LABELS, SERVICE_TYPES, WAIT_ANNOTATION
from schemas.reviewed.services import SERVICES, Door

# Kinds that lead traffic from outside to a Service: Kubernetes' own, Gateway API, and the common ingress controllers'.
ROUTES: Final = (
    "Ingress",
    "Gateway",
    "HTTPRoute",
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
    "UDPRoute",
    "ReferenceGrant",  # lets routes of another namespace in
    "HTTPProxy",
    "IngressRoute",
    "IngressRouteTCP",
    "VirtualService",
    "Route",
)
OUTSIDE_FIELDS: Final = (
    "externalIPs",
    "externalName",
    "loadBalancerIP",
    "loadBalancerClass",
    "loadBalancerSourceRanges",
    "externalTrafficPolicy",
)
# Annotations by which cloud controllers and external-dns publish a Service.
OUTSIDE_ANNOTATIONS: Final = (
    "service.beta.kubernetes.io/",
    "cloud.google.com/",
    "networking.gke.io/",
    "metallb.universe.tf/",
    "metallb.io/",
    "external-dns.alpha.kubernetes.io/",
    "external-dns.kubernetes.io/",
    "service.kubernetes.io/",
    "tailscale.com/",
)
# All that a Service of the platform may say.
SERVICE_FIELDS: Final = (
    *("type", "selector", "ports", "clusterIP", "publishNotReadyAddresses", "ipFamilyPolicy", "internalTrafficPolicy"),
)
PORT_FIELDS: Final = ("name", "port", "targetPort", "protocol")


def _exposed(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        kind = manifest.get("kind")
        if kind in WORKLOADS:
            yield from _host_ports(manifest)
        elif kind == "Service":
            yield from _service(manifest)
            if namespace(manifest) in NAMESPACES:
                yield from _reviewed(manifest)
        elif namespace(manifest) not in NAMESPACES:
            yield from _reaches_in(manifest)
        elif namespace(manifest) != ACCESS_NAMESPACE:
            yield breaks(manifest, f"leads traffic into {namespace(manifest)}; only {ACCESS_NAMESPACE} has a door")
        else:
            yield from unlike(manifest)


def _service(manifest: Manifest) -> Iterator[Violation]:
    spec = manifest.get("spec") or {}
    if (spec.get("type") or "ClusterIP") not in SERVICE_TYPES:
        yield breaks(manifest, f"has type {spec['type']}; valid: {', '.join(SERVICE_TYPES)}")
    for field in OUTSIDE_FIELDS:
        if spec.get(field) is not None:
            yield breaks(manifest, f"sets {field}")
    for port in items(spec.get("ports")):
        if port.get("nodePort"):
            yield breaks(manifest, "sets nodePort")
    for key in at(manifest, "metadata", "annotations") or {}:
        if key.startswith(OUTSIDE_ANNOTATIONS):
            yield breaks(manifest, f"has the annotation {key}, by which a controller publishes it")


def _reviewed(manifest: Manifest) -> Iterator[Violation]:
    """A Service of the platform is one of the table, and says no more than that."""
    spec, of = manifest.get("spec") or {}, SERVICES.get(f"{namespace(manifest)}/{name(manifest)}")
    if of is None:
        yield breaks(manifest, "is not among the Services that were reviewed (schemas/reviewed/services.py)")
        return
    yield from _leads(manifest, of)
    for field in spec:
        if field not in (*SERVICE_FIELDS, *OUTSIDE_FIELDS):
            yield breaks(manifest, f"sets {field}; valid: {', '.join(SERVICE_FIELDS)}")
    for port in items(spec.get("ports")):
        if unknown := [field for field in port if field not in (*PORT_FIELDS, "nodePort")]:
            yield breaks(manifest, f"sets {', '.join(unknown)} of a port; valid: {', '.join(PORT_FIELDS)}")
    for key in at(manifest, "metadata", "annotations") or {}:
        if key != WAIT_ANNOTATION and not key.startswith(OUTSIDE_ANNOTATIONS):
            yield breaks(manifest, f"has the annotation {key}; valid: {WAIT_ANNOTATION}")
    for key in at(manifest, "metadata", "labels") or {}:
        if key not in OBJECT_LABELS:
            yield breaks(manifest, f"has the label {key}; valid: {', '.join(OBJECT_LABELS)}")


def _leads(manifest: Manifest, of: Door) -> Iterator[Violation]:
    """Where a Service leads to, and for whom it answers."""
    spec, (key, value) = manifest.get("spec") or {}, of.selector
    selector = spec.get("selector") or {}
    if dict(selector) != {key: value}:
        found = ", ".join(f"{k}={selector[k]}" for k in sorted(selector))
        yield breaks(manifest, f"leads to pods with {found or 'any label'}; it must be {key}={value}")
    found_ports = [(whole(p.get("port")), p.get("targetPort"), p.get("protocol") or "TCP") for p in _ports(spec)]
    for number, target in of.ports:
        if (number, target, "TCP") not in found_ports:
            yield breaks(manifest, f"does not lead from port {number} to {target} (TCP)")
    for number, target, protocol in found_ports:
        if (number, target) not in of.ports or protocol != "TCP":
            yield breaks(manifest, f"leads from port {number} to {whole(target)} ({protocol}), which nobody reviewed")
    expected = {
        "clusterIP": "None" if of.headless else None,
        "publishNotReadyAddresses": True if of.unready else None,
        "ipFamilyPolicy": "PreferDualStack" if of.dual else None,
        "internalTrafficPolicy": "Local" if of.local else None,
    }
    for field, wanted in expected.items():
        if (spec.get(field) or None) != wanted:
            yield breaks(manifest, f"has {field} {spec.get(field)}; it must be {wanted or 'unset'}")


def _ports(spec: Manifest) -> Iterable[Any]:
    return items(spec.get("ports"))


def _host_ports(manifest: Manifest) -> Iterator[Violation]:
    for container in containers(manifest):
        for port in items(container.body.get("ports")):
            if port.get("hostPort"):
                yield container.breaks("takes a port of the node (hostPort)")


def _reaches_in(manifest: Manifest) -> Iterator[Violation]:
    """A route elsewhere that names one of our namespaces: as a backend's, or in the name of a Service."""
    for into in sorted(_named(manifest) & set(NAMESPACES)):
        yield breaks(manifest, f"leads traffic from outside into {into}")


def _named(manifest: Manifest) -> set[str]:
    return {part for text in _texts(manifest.get("spec")) for part in re.split(r"[./:]", text)}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, however deep: each controller's routes have a form of their own."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from _texts(below)
    elif isinstance(value, Iterable):
        for below in value:
            yield from _texts(below)


RULES: Final = (
    Rule(
        id="FP007",
        name="no-public-service",
        why="Pyroscope trusts a header for the tenant and has routes without any tenant check: the gateway is the "
        "only door, and what stands before the gateway is decided outside this program.",
        remediation="Use Services of type ClusterIP without external fields, as schemas/reviewed/services.py has "
        "them; reach the platform through the gateway in flameplane-access.",
        kinds=("Service", *ROUTES, *WORKLOADS),
        check=_exposed,
    ),
)
