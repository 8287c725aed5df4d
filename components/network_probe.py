"""The network probe: whether the cluster enforces the NetworkPolicies on which everything else relies."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network, pods, specs
from components.base import APP_LABEL, Component
from components.pods import METRICS_PORT, Images
from schemas.allowed import SYSTEM_NAMESPACE
from schemas.settings import Settings
from schemas.settings.environments import RELIED_ON

NAME: Final = "network-probe"
UID: Final = 65532
REPLICAS: Final = 2  # they call each other
OPEN, INGRESS_CLOSED, EGRESS_CLOSED = 8090, 8091, 8092  # as dataplane/internal/netprobe describes them


@dataclass(frozen=True)
class NetworkProbeArgs:
    """The environment, whose name says whether it relies on an answer, and the image."""

    settings: Settings
    images: Images


class NetworkProbe(Component):
    """Two pods that call each other where it is open and where it is closed, and say who got through.

    In staging and prod they are ready only where policies are enforced, so `pulumi up` does not end well on a network
    that ignores them; elsewhere they say it by metric and log alone. Limit: it proves the plugin, not each policy.
    """

    def __init__(self, name: str, args: NetworkProbeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("access", "NetworkProbe", name, opts)
        demand = args.settings.environment in RELIED_ON
        selector, waited_for = {APP_LABEL: NAME}, args.images.waited_for(NAME)
        self.service_account(SYSTEM_NAMESPACE, NAME)
        self._network(args.settings)
        Service(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE, annotations=waited_for),
            # Where policies are not enforced nobody gets ready, and they have to find each other all the same; by IPv4
            # and IPv6 where the cluster has both, which are filtered apart.
            spec={
                **specs.members(selector, open=OPEN),
                "publish_not_ready_addresses": True,
                "ip_family_policy": "PreferDualStack",
            },
            opts=self.options(),
        )
        PodDisruptionBudget(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE),
            # Where policies are not enforced none is ready, and no node could be drained.
            spec={**specs.one_at_a_time(selector), "unhealthy_pod_eviction_policy": "AlwaysAllow"},
            opts=self.options(),
        )
        Deployment(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE, annotations=waited_for),
            spec={
                "replicas": REPLICAS,
                "selector": {"match_labels": selector},
                "strategy": specs.ROLLING,
                "template": {
                    "metadata": {"labels": self.labels(NAME), "annotations": pods.scraped(METRICS_PORT)},
                    "spec": _pod(args.images, demand),
                },
            },
            opts=self.options(),
        )
        self.register_outputs({})

    def _network(self, settings: Settings) -> None:
        own = network.app(SYSTEM_NAMESPACE, NAME)
        NetworkPolicy(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE),
            spec=network.around(
                {APP_LABEL: NAME},
                ingress=[
                    network.from_(own, OPEN, EGRESS_CLOSED),
                    network.from_(network.pods(settings.alerts.prometheus_namespace), METRICS_PORT),
                ],
                egress=[network.to(own, OPEN, INGRESS_CLOSED)],
            ),
            opts=self.options(),
        )


def _pod(images: Images, demand: bool) -> PodSpecArgsDict:
    return {
        **pods.program(NAME, UID, 10),
        "topology_spread_constraints": [pods.spread(NAME)],
        "containers": [
            {
                "name": NAME,
                "image": images.reference(NAME),
                "image_pull_policy": images.pull_policy,
                "args": [
                    f"--peers={NAME}.{SYSTEM_NAMESPACE}.svc",
                    f"--open={OPEN}",
                    f"--ingress-closed={INGRESS_CLOSED}",
                    f"--egress-closed={EGRESS_CLOSED}",
                    f"--metrics=:{METRICS_PORT}",
                    *(["--demand"] if demand else []),
                ],
                "env": [pods.field("POD_IPS", "status.podIPs")],
                "security_context": pods.restricted_container(),
                "resources": pods.resources("5m", "16Mi", "100m", "32Mi"),
                "ports": [pods.port("open", OPEN), pods.port("metrics", METRICS_PORT)],
                "readiness_probe": pods.http_probe("/ready", "metrics"),
                "liveness_probe": pods.http_probe("/healthz", "metrics", period=30),
            }
        ],
    }
