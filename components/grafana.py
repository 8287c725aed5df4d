"""What a Grafana is provisioned with, be it ours or one that runs already."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap

from components.base import Component
from components.dashboard import dashboard
from components.grafana_settings import HARDENING
from components.grafana_sources import PROMETHEUS, datasources
from schemas.catalog import Catalog
from schemas.settings import Settings

DATASOURCES: Final = "flameplane-datasources"
DASHBOARDS: Final = "flameplane-dashboards"
HARDENED: Final = "grafana-hardening"


@dataclass(frozen=True)
class GrafanaArgs:
    """Where Grafana, the trace store and Prometheus are, the teams, and the gateway."""

    settings: Settings
    catalog: Catalog
    gateway_url: str


class Grafana(Component):
    """ConfigMaps for Grafana's provisioning sidecar (label ``grafana_datasource``, ``grafana_dashboard``).

    The user's own token is forwarded (``oauthPassThru``), so Grafana is not trusted: the gateway decides who may read.
    ``grafana-hardening`` is meant as ``envFrom`` of the Grafana pod: it keeps the browser from posting profiles out.
    Limit: of a Grafana that runs already nothing here can see whether it uses them. Outputs: ``config_maps``, by name,
    and ``contents``, what is in them, for a Grafana that has to start anew when data sources change.
    """

    config_maps: dict[str, ConfigMap]
    contents: dict[str, dict[str, str]]

    def __init__(self, name: str, args: GrafanaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("correlation", "Grafana", name, opts)
        correlation = args.settings.correlation
        sources = datasources(correlation, args.catalog, args.gateway_url)
        boards = json.dumps(dashboard(PROMETHEUS), indent=1) + "\n"
        self.contents = {
            DATASOURCES: {"flameplane-datasources.yaml": sources},
            DASHBOARDS: {"flameplane.json": boards},
            HARDENED: HARDENING,
        }
        labels = {DATASOURCES: {"grafana_datasource": "1"}, DASHBOARDS: {"grafana_dashboard": "1"}, HARDENED: {}}
        namespace = correlation.grafana_namespace
        self.config_maps = {
            called: ConfigMap(
                f"{namespace}/{called}",
                metadata=self.metadata(called, namespace, app="grafana-provisioning", labels=labels[called]),
                data=data,
                opts=self.options(),
            )
            for called, data in self.contents.items()
        }
        self.register_outputs({"configMaps": sorted(self.config_maps)})
