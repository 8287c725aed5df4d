"""The way out for the notifier: an HTTP proxy that opens tunnels to listed hosts, and to nothing else.

A NetworkPolicy knows addresses, not names, and chat services have no fixed ones. So the notifier reaches only this
proxy, and the proxy alone may leave the cluster, for port 443.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network, pods, specs
from components.base import APP_LABEL, Component
from components.egress_config import PORT, egress_config
from components.pods import Images
from components.text import digest
from schemas.allowed import EGRESS_PROXY, SYSTEM_NAMESPACE
from schemas.settings import Regression

NAME: Final = EGRESS_PROXY
UID: Final = 65532
URL: Final = f"http://{NAME}.{SYSTEM_NAMESPACE}.svc:{PORT}"
REPLICAS: Final = 2  # a drained node must not swallow the alert about it
_FOLDER: Final = "/etc/flameplane/egress-proxy"


@dataclass(frozen=True)
class EgressProxyArgs:
    """The hosts, the image, and the programs of flameplane-system that may use the proxy."""

    regression: Regression
    images: Images
    clients: Sequence[str]


class EgressProxy(Component):
    """Squid as an unprivileged process without cache, disk or credential. Output: ``url``, for ``HTTPS_PROXY``.

    Squid, because it has been looked after for decades, is packaged everywhere, and takes the whole policy from one
    small file. Limits: it sees the host of a tunnel, not what is said inside; a listed host that serves many customers
    (a chat service) is reached for all of them. The allow-list is public addresses, and private ones only in
    ``regression.egress``: a listed name that resolves to another private address is refused.
    """

    url: str

    def __init__(self, name: str, args: EgressProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("regression", "EgressProxy", name, opts)
        self.url = URL
        text = egress_config(args.regression)
        config = ConfigMap(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE),
            data={"squid.conf": text},
            opts=self.options(),
        )
        self.service_account(SYSTEM_NAMESPACE, NAME)
        self._network(args)
        selector, waited_for = {APP_LABEL: NAME}, args.images.waited_for(NAME)
        Service(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE, annotations=waited_for),
            spec=specs.door(selector, "proxy", PORT),
            opts=self.options(),
        )
        PodDisruptionBudget(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE),
            spec=specs.one_at_a_time(selector),
            opts=self.options(),
        )
        # Squid reads its file once: another list is another pod.
        Deployment(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE, annotations=waited_for),
            spec={
                "replicas": REPLICAS,
                "selector": {"match_labels": selector},
                "strategy": specs.ROLLING,
                "template": {
                    "metadata": {
                        "labels": self.labels(NAME),
                        "annotations": {"flameplane.dev/config-checksum": digest(text)},
                    },
                    "spec": _pod(args.images),
                },
            },
            opts=self.options([config]),
        )
        self.register_outputs({"url": self.url})

    def _network(self, args: EgressProxyArgs) -> None:
        egress = [network.to_internet(443)]
        if args.regression.egress:
            egress.append(network.to(network.addresses(args.regression.egress), 443))
        NetworkPolicy(
            f"{SYSTEM_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, SYSTEM_NAMESPACE),
            spec=network.around(
                {APP_LABEL: NAME},
                ingress=[network.from_(network.app(SYSTEM_NAMESPACE, client), PORT) for client in args.clients],
                egress=egress,
            ),
            opts=self.options(),
        )


def _pod(images: Images) -> PodSpecArgsDict:
    return {
        **pods.program(NAME, UID, 30),
        "topology_spread_constraints": [pods.spread(NAME)],
        "containers": [
            {
                "name": NAME,
                "image": images.reference(NAME),
                "image_pull_policy": images.pull_policy,
                # Not the image's own start script, which wants to be root. In the foreground, messages to stderr.
                "command": ["/usr/sbin/squid"],
                "args": ["-N", "-d", "1", "-f", f"{_FOLDER}/squid.conf"],
                "security_context": pods.restricted_container(),
                "resources": pods.resources("20m", "64Mi", "500m", "128Mi"),
                "ports": [pods.port("proxy", PORT)],
                "readiness_probe": pods.tcp_probe("proxy"),
                "liveness_probe": pods.tcp_probe("proxy", period=30),
                "volume_mounts": [{"name": "config", "mount_path": _FOLDER, "read_only": True}],
            }
        ],
        "volumes": [{"name": "config", "config_map": {"name": NAME}}],
    }
