"""Nothing of the platform is reachable from outside the cluster by itself."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import WORKLOADS, at, breaks, containers, items, namespace
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import ACCESS_NAMESPACE, NAMESPACES, SERVICE_TYPES

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
    "tailscale.com/",
)


def _exposed(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        kind = manifest.get("kind")
        if kind in WORKLOADS:
            yield from _host_ports(manifest)
        elif kind == "Service":
            yield from _service(manifest)
        elif namespace(manifest) not in NAMESPACES:
            yield from _reaches_in(manifest)
        elif namespace(manifest) != ACCESS_NAMESPACE:
            yield breaks(manifest, f"leads traffic into {namespace(manifest)}; only {ACCESS_NAMESPACE} has a door")


def _service(manifest: Manifest) -> Iterator[Violation]:
    spec = manifest.get("spec") or {}
    if (spec.get("type") or "ClusterIP") not in SERVICE_TYPES:
        yield breaks(manifest, f"has type {spec['type']}; valid: {', '.join(SERVICE_TYPES)}")
    for field in OUTSIDE_FIELDS:
        if spec.get(field):
            yield breaks(manifest, f"sets {field}")
    for port in items(spec.get("ports")):
        if port.get("nodePort"):
            yield breaks(manifest, "sets nodePort")
    for key in at(manifest, "metadata", "annotations") or {}:
        if key.startswith(OUTSIDE_ANNOTATIONS):
            yield breaks(manifest, f"has the annotation {key}, by which a controller publishes it")


def _host_ports(manifest: Manifest) -> Iterator[Violation]:
    for container in containers(manifest):
        for port in items(container.body.get("ports")):
            if port.get("hostPort"):
                yield container.breaks("takes a port of the node (hostPort)")


def _reaches_in(manifest: Manifest) -> Iterator[Violation]:
    """A route elsewhere that names one of our namespaces: as a backend's, or in the name of a Service."""
    named = {part for text in _texts(manifest.get("spec")) for part in re.split(r"[./:]", text)}
    for into in sorted(named & set(NAMESPACES)):
        yield breaks(manifest, f"leads traffic from outside into {into}")


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
        remediation="Use Services of type ClusterIP without external fields; reach the platform through the gateway "
        "in flameplane-access.",
        kinds=("Service", *ROUTES, *WORKLOADS),
        check=_exposed,
    ),
)
