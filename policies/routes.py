"""Routes in flameplane-access, each beside the form that was reviewed for its kind (schemas/reviewed/routes.py)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.compare import differences, present
from policies.objects import at, breaks, items, whole
from policies.rule import Manifest, Violation
from schemas.reviewed.routes import BACKENDS, KINDS, route


def unlike(manifest: Manifest) -> Iterator[Violation]:
    """What a route does beyond leading named hosts, over TLS, to the gateway and to Grafana."""
    kind = str(manifest.get("kind"))
    if kind not in KINDS:
        yield breaks(manifest, f"is of a kind that was not reviewed for routes; valid: {', '.join(KINDS)}")
        return
    found = {
        "metadata": {"annotations": at(manifest, "metadata", "annotations")},
        "spec": manifest.get("spec"),
    }
    for one in differences(present(found), route(kind)):
        yield breaks(manifest, str(one))
    valid = ", ".join(f"{service}:{port}" for service, port in BACKENDS.items())
    for service, port in dict.fromkeys(_backends(manifest.get("spec"))):
        if BACKENDS.get(service) != port:
            yield breaks(manifest, f"leads traffic to {service}:{port}; valid: {valid}")
    if kind == "Ingress" and at(manifest, "spec", "tls"):
        yield from _secured(manifest)


def _secured(manifest: Manifest) -> Iterator[Violation]:
    hosts = {host for entry in items(at(manifest, "spec", "tls")) for host in items(entry.get("hosts"))}
    for rule in items(at(manifest, "spec", "rules")):
        if (host := rule.get("host")) and host not in hosts:
            yield breaks(manifest, f"answers for {host} without TLS: no entry of spec.tls names it")


def _backends(value: Any) -> Iterator[tuple[str, Any]]:
    """Service and port of each backend: Ingress has `service: {name, port}`, Gateway API `backendRefs: [...]`."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key == "service" and isinstance(below, Mapping):
                yield str(below.get("name")), whole(at(below, "port", "number") or at(below, "port", "name"))
            elif key == "backendRefs":
                yield from ((str(one.get("name")), whole(one.get("port"))) for one in items(below))
            else:
                yield from _backends(below)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for below in value:
            yield from _backends(below)
