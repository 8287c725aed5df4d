"""What the platform declares outside its own namespaces, and which of them it has to do with."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from schemas.allowed import KINDS, NAMESPACES
from schemas.catalog import Catalog
from schemas.settings import Settings

# Kinds that have no namespace; a Namespace is judged as what is in it.
CLUSTER_KINDS: Final = (
    *("ClusterRole", "ClusterRoleBinding", "PersistentVolume", "PriorityClass", "StorageClass"),
    *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    *("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
)
NAMESPACED: Final = tuple(kind for kind in KINDS if kind not in CLUSTER_KINDS)
# What a Grafana that exists already reads from its own namespace.
GRAFANA_FILES: Final = ("flameplane-dashboards", "flameplane-datasources", "grafana-hardening")
DEMO: Final = ("checkout", "recommender", "search", "web-bff")  # programs of environment local, in their namespaces
PRIORITY_CLASS: Final = "flameplane-node"


class Place(NamedTuple):
    """An object."""

    kind: str
    namespace: str
    name: str


def near(settings: Settings, catalog: Catalog) -> set[str]:
    """Namespaces of others that the platform knows of: teams', Grafana's, Prometheus', the ingress controller's."""
    found = {"default", settings.alerts.prometheus_namespace, settings.correlation.grafana_namespace}
    found |= {settings.access.ingress_namespace or "default"}
    found |= {service.spec.workload.namespace for service in catalog.services}
    found |= {*catalog.organisation.spec.excluded_namespaces}
    return found - NAMESPACES.keys()


def elsewhere(settings: Settings, catalog: Catalog) -> Iterator[Place]:
    """All that is declared outside the platform's namespaces."""
    if (grafana := settings.correlation.grafana_namespace) not in NAMESPACES:
        yield from (Place("ConfigMap", grafana, name) for name in GRAFANA_FILES)
    if settings.environment == "local":
        for service in (one for one in catalog.services if one.name in DEMO):
            where = service.spec.workload.namespace
            yield Place("Namespace", where, where)
            yield from (Place(kind, where, service.name) for kind in ("Deployment", "Service"))
