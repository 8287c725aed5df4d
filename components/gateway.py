"""The gateway: the only door to the backend, both ways."""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, PodSpecArgsDict, Service, VolumeMountArgsDict
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components import network, pods, specs, tls
from components.backend_urls import HTTP_PORT, BackendUrls, doors
from components.base import APP_LABEL, Component
from components.gateway_config import gateway_config, read_once
from components.pods import METRICS_PORT, SERVICE_PORT, Images
from components.scheduled_job import GATEWAY_CLIENT
from components.text import digest
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, BACKEND_NAMESPACE, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Settings

NAME: Final = "gateway"
UID: Final = 65532
URL: Final = f"http://{NAME}.{ACCESS_NAMESPACE}.svc:{SERVICE_PORT}"
CLUSTER_NAME: Final = "flameplane-gateway"


@dataclass(frozen=True)
class GatewayArgs:
    """The environment, its teams and images, the backend's addresses, the ConfigMaps with the gate's permissions and
    with grants."""

    settings: Settings
    catalog: Catalog
    images: Images
    backend: BackendUrls
    ci_gate: str
    grants: str


class Gateway(Component):
    """Deployment, identity, configuration and network.

    Where the settings say `backend.tls`, it shows Pyroscope its certificate and takes none but one of the platform's
    CA: on the wire between them nobody reads profiles, and nobody else is let in. In a cloud it ships audit records
    with its own role (EKS Pod Identity). Limit: what stands before it (ingress, TLS towards people and CI) is decided
    outside this program; ``access.ingressNamespace`` only names who may knock. Output: ``url``.
    """

    url: str

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("access", "Gateway", name, opts)
        self.url = URL
        # Mounted and read again when it changes: a new team needs no restart.
        config = ConfigMap(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            data={"gateway.yaml": gateway_config(args.settings, args.catalog, args.backend)},
            opts=self.options(),
        )
        self._identity()
        self._network(args.settings)
        selector = {APP_LABEL: NAME}
        Service(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE, annotations=args.images.waited_for("gateway")),
            spec=specs.door(selector, "http", SERVICE_PORT),
            opts=self.options(),
        )
        PodDisruptionBudget(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            spec=specs.one_at_a_time(selector),
            opts=self.options(),
        )
        Deployment(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE, annotations=args.images.waited_for("gateway")),
            spec={
                "replicas": args.settings.access.replicas,
                "selector": {"match_labels": selector},
                "strategy": specs.ROLLING,
                "template": {
                    "metadata": {
                        "labels": self.labels(NAME),
                        "annotations": {
                            "flameplane.dev/config-checksum": _checksum(args),
                            **pods.scraped(METRICS_PORT),
                        },
                    },
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
            *(network.to(network.app(BACKEND_NAMESPACE, name), HTTP_PORT) for name in doors(settings.backend)),
            network.to_api_server(settings.cluster.api_server),
        ]
        if settings.access.egress:
            egress.append(network.to(network.addresses(settings.access.egress), 443))
        if settings.cloud:
            # Audit records, with the gateway's own role.
            egress.append(network.to_pod_identity())
            if settings.backend.object_storage.egress:
                egress.append(network.to(network.addresses(settings.backend.object_storage.egress), 443))
        ingress = settings.access.ingress_namespace
        NetworkPolicy(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            spec=network.around(
                {APP_LABEL: NAME},
                ingress=[
                    network.from_(network.app(AGENT_NAMESPACE, "flameplane-node"), SERVICE_PORT),
                    network.from_(network.pods(SYSTEM_NAMESPACE, GATEWAY_CLIENT), SERVICE_PORT),
                    network.from_(network.pods(ACCESS_NAMESPACE, GATEWAY_CLIENT), SERVICE_PORT),
                    network.from_(grafana, SERVICE_PORT),
                    *([network.from_(network.pods(ingress), SERVICE_PORT)] if ingress else []),
                    network.from_(network.pods(settings.alerts.prometheus_namespace), METRICS_PORT),
                ],
                egress=egress,
            ),
            opts=self.options(),
        )


def _checksum(args: GatewayArgs) -> str:
    """Another backend is another pod; what is read again needs none."""
    once = read_once(args.settings, args.catalog, args.backend)
    return digest(json.dumps(once, sort_keys=True))


def _pod(args: GatewayArgs) -> PodSpecArgsDict:
    secrets = tls.secrets(args.settings.backend)
    certificate: VolumeMountArgsDict = {"name": tls.VOLUME, "mount_path": tls.CLIENT_FOLDER, "read_only": True}
    return {
        **pods.program(NAME, UID, 60, fs_group=True),
        "topology_spread_constraints": [pods.spread(NAME)],
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
                    "--grants=/etc/flameplane/grants",
                    "--audit=/var/lib/flameplane/audit",
                ],
                "env": [
                    pods.field("POD_NAME", "metadata.name"),
                    pods.field("POD_NAMESPACE", "metadata.namespace"),
                    {"name": "GOMEMLIMIT", "value": "460MiB"},  # nine tenths of the limit
                ],
                "security_context": pods.restricted_container(),
                "resources": pods.resources("100m", "128Mi", "1", "512Mi"),
                "ports": [pods.port("http", SERVICE_PORT), pods.port("metrics", METRICS_PORT)],
                "readiness_probe": pods.http_probe("/ready", "metrics"),
                "liveness_probe": pods.http_probe("/healthz", "metrics", period=30),
                "volume_mounts": [
                    {"name": "config", "mount_path": "/etc/flameplane/gateway", "read_only": True},
                    {"name": "ci-gate", "mount_path": "/etc/flameplane/ci-gate", "read_only": True},
                    {"name": "grants", "mount_path": "/etc/flameplane/grants", "read_only": True},
                    {
                        "name": "api-token",
                        "mount_path": "/var/run/secrets/kubernetes.io/serviceaccount",
                        "read_only": True,
                    },
                    {"name": "audit", "mount_path": "/var/lib/flameplane/audit"},
                    *([certificate] if secrets else []),
                ],
            }
        ],
        "volumes": [
            {"name": "config", "config_map": {"name": NAME}},
            {"name": "ci-gate", "config_map": {"name": args.ci_gate}},
            {"name": "grants", "config_map": {"name": args.grants, "optional": True}},  # without it nothing leaves
            pods.api_token(),
            # Lines that are not shipped yet; the chain itself goes to stdout and to object storage. At 768 MiB the
            # gateway stops writing (dataplane/cmd/gateway/log.go): beyond the limit the pod would be evicted with them.
            {"name": "audit", "empty_dir": {"size_limit": "1Gi"}},
            *([tls.volume(secrets.client)] if secrets else []),
        ],
    }
