"""A Grafana of the platform's own, beside the gateway: hardened, without a login of its own, offline."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, PersistentVolumeClaim, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network, specs
from components.base import APP_LABEL, Component
from components.grafana import DATASOURCES, Grafana
from components.grafana_pod import GrafanaPod, provider
from components.grafana_settings import HARDENING, HTTP_PORT, own_settings
from components.pods import SERVICE_PORT, Images
from components.text import digest
from schemas.allowed import ACCESS_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Settings
from schemas.settings.correlation import OwnGrafana

NAME: Final = "grafana"


@dataclass(frozen=True)
class GrafanaServerArgs:
    """The environment and its own Grafana, the teams, the image, what Grafana is provisioned with, and the gateway."""

    settings: Settings
    catalog: Catalog
    images: Images
    grafana: OwnGrafana
    provisioned: Grafana
    gateway_url: str


class GrafanaServer(Component):
    """Deployment and network. In: people, by the ingress. Out: the gateway, Tempo, Prometheus and the issuer.

    Not trusted all the same: it holds no credential for profiles, and forwards each user's own token. Its roles open
    Grafana only: Editor for readers of any team (Explore and Profiles Drilldown ask for it), Admin for the platform's
    groups, nothing for others. Limits: data source permissions do not exist in Grafana's open edition, so names of all
    teams' data sources are seen by everybody; without storage and database, what people save is lost at a restart; data
    sources are read at start, so a new team restarts it. Output: ``url``, inside the cluster.
    """

    url: str

    def __init__(self, name: str, args: GrafanaServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("correlation", "GrafanaServer", name, opts)
        self.url = f"http://{NAME}.{ACCESS_NAMESPACE}.svc:{HTTP_PORT}"
        providers = ConfigMap(
            f"{ACCESS_NAMESPACE}/grafana-providers",
            metadata=self.metadata("grafana-providers", ACCESS_NAMESPACE, app=NAME),
            data={"flameplane.yaml": provider()},
            opts=self.options(),
        )
        self.service_account(ACCESS_NAMESPACE, NAME)
        self._network(args.settings, args.grafana)
        self._door(args.images)
        if args.grafana.storage:
            self._volume(args.grafana.storage, args)
        after = [providers, *args.provisioned.config_maps.values()]
        self._deployment(args, _checksum(args.provisioned.contents[DATASOURCES]), after)
        self.register_outputs({"url": self.url})

    def _network(self, settings: Settings, grafana: OwnGrafana) -> None:
        correlation, ingress = settings.correlation, settings.access.ingress_namespace
        egress = [
            network.to(network.app(ACCESS_NAMESPACE, "gateway"), SERVICE_PORT),
            network.to_service(correlation.traces_url),
            network.to_service(correlation.prometheus_url),
        ]
        if settings.access.egress:
            egress.append(network.to(network.addresses(settings.access.egress), 443))
        if grafana.database:
            egress.append(network.to(network.addresses(grafana.database.egress), grafana.database.port))
        NetworkPolicy(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            spec=network.around(
                {APP_LABEL: NAME},
                # Without an ingress controller nobody comes in.
                ingress=[network.from_(network.pods(ingress), HTTP_PORT)] if ingress else [],
                egress=egress,
            ),
            opts=self.options(),
        )

    def _door(self, images: Images) -> None:
        selector = {APP_LABEL: NAME}
        Service(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE, annotations=images.waited_for(NAME)),
            spec=specs.door(selector, "http", HTTP_PORT),
            opts=self.options(),
        )
        PodDisruptionBudget(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            spec=specs.one_at_a_time(selector),
            opts=self.options(),
        )

    def _volume(self, size: str, args: GrafanaServerArgs) -> None:
        PersistentVolumeClaim(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE, annotations=args.images.waited_for(NAME)),
            spec={
                "access_modes": ["ReadWriteOnce"],
                "storage_class_name": args.settings.backend.volumes.storage_class,
                "resources": {"requests": {"storage": size}},
            },
            opts=self.options(),
        )

    def _deployment(self, args: GrafanaServerArgs, checksum: str, after: list[ConfigMap]) -> None:
        # A volume of one writer is handed on only when the old pod is gone.
        one_writer = args.grafana.storage is not None
        own = {**HARDENING, **own_settings(args.settings, args.catalog, args.grafana, args.gateway_url)}
        Deployment(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE, annotations=args.images.waited_for(NAME)),
            spec={
                "replicas": args.grafana.replicas,
                "selector": {"match_labels": {APP_LABEL: NAME}},
                "strategy": {"type": "Recreate"} if one_writer else specs.ROLLING,
                "template": {
                    "metadata": {
                        "labels": self.labels(NAME),
                        "annotations": {"flameplane.dev/config-checksum": checksum},
                    },
                    "spec": GrafanaPod(args.images, args.grafana, own).spec(),
                },
            },
            opts=self.options(after),
        )


def _checksum(contents: dict[str, str]) -> str:
    """Of what Grafana reads once, at its start: the data sources. Dashboards it reads again."""
    return digest(json.dumps(contents, sort_keys=True))
