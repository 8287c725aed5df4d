"""The gateway: the only door to the backend, both ways."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components import network, pods
from components.base import APP_LABEL, Component
from components.gateway_config import gateway_config
from components.pods import METRICS_PORT, SERVICE_PORT, Images
from components.pyroscope_config import HTTP_PORT
from components.scheduled_job import GATEWAY_CLIENT
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, BACKEND_NAMESPACE, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Settings

NAME: Final = "gateway"
UID: Final = 65532
URL: Final = f"http://{NAME}.{ACCESS_NAMESPACE}.svc:{SERVICE_PORT}"
CLUSTER_NAME: Final = "flameplane-gateway"


@dataclass(frozen=True)
class GatewayArgs:
    """The environment, its teams and images, the backend, and the ConfigMap with the gate's permissions."""

    settings: Settings
    catalog: Catalog
    images: Images
    backend_url: str
    ci_gate: str


class Gateway(Component):
    """Deployment, identity, configuration and network. Output: ``url``."""

    url: str

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("access", "Gateway", name, opts)
        self.url = URL
        # Mounted and read again when it changes: a new team needs no restart.
        config = ConfigMap(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            data={"gateway.yaml": gateway_config(args.settings, args.catalog, args.backend_url)},
            opts=self.options(),
        )
        self._identity()
        self._network(args.settings)
        selector = {APP_LABEL: NAME}
        Service(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE, annotations=args.images.waited_for("gateway")),
            spec={
                "type": "ClusterIP",
                "selector": selector,
                "ports": [{"name": "http", "port": SERVICE_PORT, "target_port": "http", "protocol": "TCP"}],
            },
            opts=self.options(),
        )
        PodDisruptionBudget(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            spec={"max_unavailable": 1, "selector": {"match_labels": selector}},
            opts=self.options(),
        )
        Deployment(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE, annotations=args.images.waited_for("gateway")),
            spec={
                "replicas": args.settings.access.replicas,
                "selector": {"match_labels": selector},
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 1, "max_unavailable": 0}},
                "template": {
                    "metadata": {"labels": self.labels(NAME), "annotations": pods.scraped(METRICS_PORT)},
                    "spec": _pod(args),
                },
            },
            opts=self.options([config]),
        )
        self.register_outputs({"url": self.url})

    def _identity(self) -> None:
        """May ask the API server whether a token is good, and use up a grant: creating its Lease works exactly once."""
        self.service_account(ACCESS_NAMESPACE, NAME)
        review: PolicyRuleArgsDict = {
            "api_groups": ["authentication.k8s.io"],
            "resources": ["tokenreviews"],
            "verbs": ["create"],
        }
        use_up: PolicyRuleArgsDict = {
            "api_groups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["create", "get"],
        }
        self.allow_everywhere(CLUSTER_NAME, ACCESS_NAMESPACE, NAME, [review])
        self.allow(ACCESS_NAMESPACE, NAME, [use_up])

    def _network(self, settings: Settings) -> None:
        grafana = network.pods(settings.correlation.grafana_namespace, {APP_LABEL: "grafana"})
        egress = [
            network.to(network.app(BACKEND_NAMESPACE, "pyroscope"), HTTP_PORT),
            network.to_api_server(settings.cluster.api_server),
        ]
        if settings.access.egress:
            egress.append(network.to(network.addresses(settings.access.egress), 443))
        NetworkPolicy(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            spec={
                "pod_selector": {"match_labels": {APP_LABEL: NAME}},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [
                    network.from_(network.app(AGENT_NAMESPACE, "flameplane-node"), SERVICE_PORT),
                    network.from_(network.pods(SYSTEM_NAMESPACE, GATEWAY_CLIENT), SERVICE_PORT),
                    network.from_(network.pods(ACCESS_NAMESPACE, GATEWAY_CLIENT), SERVICE_PORT),
                    network.from_(grafana, SERVICE_PORT),
                    network.from_(network.pods(settings.alerts.prometheus_namespace), METRICS_PORT),
                ],
                "egress": egress,
            },
            opts=self.options(),
        )


def _pod(args: GatewayArgs) -> PodSpecArgsDict:
    return {
        "service_account_name": NAME,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": 60,
        "security_context": pods.restricted_pod(UID, fs_group=True),
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": "kubernetes.io/hostname",
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": {APP_LABEL: NAME}},
            }
        ],
        "containers": [
            {
                "name": NAME,
                "image": args.images.reference("gateway"),
                "image_pull_policy": args.images.pull_policy,
                "args": [
                    f"--listen=:{SERVICE_PORT}",
                    f"--metrics=:{METRICS_PORT}",
                    "--config=/etc/flameplane/gateway/gateway.yaml",
                    "--ci-gate=/etc/flameplane/ci-gate",
                    "--audit=/var/lib/flameplane/audit",
                ],
                "env": [pods.field("POD_NAME", "metadata.name"), pods.field("POD_NAMESPACE", "metadata.namespace")],
                "security_context": pods.restricted_container(),
                "resources": pods.resources("100m", "128Mi", "1", "512Mi"),
                "ports": [pods.port("http", SERVICE_PORT), pods.port("metrics", METRICS_PORT)],
                "readiness_probe": pods.http_probe("/ready", "metrics"),
                "liveness_probe": pods.http_probe("/healthz", "metrics", period=30),
                "volume_mounts": [
                    {"name": "config", "mount_path": "/etc/flameplane/gateway", "read_only": True},
                    {"name": "ci-gate", "mount_path": "/etc/flameplane/ci-gate", "read_only": True},
                    {
                        "name": "api-token",
                        "mount_path": "/var/run/secrets/kubernetes.io/serviceaccount",
                        "read_only": True,
                    },
                    {"name": "audit", "mount_path": "/var/lib/flameplane/audit"},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "config_map": {"name": NAME}},
            {"name": "ci-gate", "config_map": {"name": args.ci_gate}},
            pods.api_token(),
            # Lines that are not shipped yet; the chain itself goes to stdout and to object storage.
            {"name": "audit", "empty_dir": {"size_limit": "1Gi"}},
        ],
    }
