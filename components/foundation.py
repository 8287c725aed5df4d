"""Namespaces with their Pod Security labels, a closed network, and the catalog as the cluster sees it."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components import network
from components.base import Component
from components.text import as_yaml
from schemas.allowed import NAMESPACES, SYSTEM_NAMESPACE
from schemas.base import Model
from schemas.catalog import Catalog

POD_SECURITY = "pod-security.kubernetes.io"


@dataclass(frozen=True)
class FoundationArgs:
    """What the platform is made for."""

    catalog: Catalog


class Foundation(Component):
    """What every other component stands on.

    Output: ``namespaces``, the Namespace of each name, for ``depends_on``.
    """

    namespaces: dict[str, Namespace]

    def __init__(self, name: str, args: FoundationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("foundation", "Foundation", name, opts)
        self.namespaces = {namespace: self._namespace(namespace, level) for namespace, level in NAMESPACES.items()}
        self._catalog(args.catalog)
        self.register_outputs({"namespaces": sorted(self.namespaces)})

    def _namespace(self, name: str, level: str) -> Namespace:
        namespace = Namespace(name, metadata=self.metadata(name, labels=pod_security(level)), opts=self.options())
        NetworkPolicy(
            f"{name}/default-deny",
            metadata=self.metadata("default-deny", name),
            spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
            opts=self.options([namespace]),
        )
        NetworkPolicy(
            f"{name}/dns",
            metadata=self.metadata("dns", name),
            spec={"pod_selector": {}, "policy_types": ["Egress"], "egress": [network.to_dns()]},
            opts=self.options([namespace]),
        )
        return namespace

    def _catalog(self, catalog: Catalog) -> None:
        """Effective declarations, one object per team: the policy pack and the jobs read them instead of the files."""
        self._config_map("catalog-organisation", {"organisation.yaml": _document(catalog.organisation)})
        for team in catalog.teams:
            services = {f"{service.name}.yaml": _document(service) for service in catalog.of_team(team.name)}
            self._config_map(f"catalog-{team.name}", {"team.yaml": _document(team), **services})

    def _config_map(self, name: str, data: dict[str, str]) -> None:
        ConfigMap(
            f"{SYSTEM_NAMESPACE}/{name}",
            metadata=self.metadata(name, SYSTEM_NAMESPACE, app="catalog"),
            data=data,
            opts=self.options([self.namespaces[SYSTEM_NAMESPACE]]),
        )


def pod_security(level: str) -> dict[str, str]:
    """The same level in all three modes; where it is ``privileged``, what goes beyond ``baseline`` is audited."""
    audit = "baseline" if level == "privileged" else level
    return {f"{POD_SECURITY}/enforce": level, f"{POD_SECURITY}/warn": level, f"{POD_SECURITY}/audit": audit}


def _document(model: Model) -> str:
    content: dict[str, Any] = model.model_dump(by_alias=True, mode="json", exclude_none=True)
    return as_yaml(content)
