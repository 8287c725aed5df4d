"""Pyroscope in one process: the backend of a small or trial environment."""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components import network, pods, specs
from components import pyroscope_network as peers
from components.backend_urls import HTTP_PORT
from components.base import APP_LABEL, Component
from components.pods import Images
from components.pyroscope_config import ADMIN_PORT, DATA, SCRATCH
from components.pyroscope_identities import PROCESS
from components.pyroscope_part import (
    UID,
    arguments,
    configuration,
    configuration_mounts,
    credentials,
    process,
)
from components.static_volumes import METASTORE_CLAIM
from schemas.allowed import BACKEND_NAMESPACE
from schemas.settings import Settings

MEMORY_LIMIT = 2048  # Mi


@dataclass(frozen=True)
class PyroscopeProcessArgs:
    """The environment, its images, and the hash of config.yaml."""

    settings: Settings
    images: Images
    checksum: str


class PyroscopeProcess(Component):
    """StatefulSet of one, and a network that lets only the gateway in.

    Limits: a restart is a gap of half a minute in ingest and queries; a lost volume is a lost index.
    """

    def __init__(self, name: str, args: PyroscopeProcessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("backend", "PyroscopeProcess", name, opts)
        self.service_account(BACKEND_NAMESPACE, PROCESS)
        self._services(args.images.waited_for("pyroscope"))
        self._network(args.settings)
        self._stateful_set(args)
        self.register_outputs({})

    def _services(self, waited_for: dict[str, str]) -> None:
        selector = {APP_LABEL: PROCESS}
        Service(
            f"{BACKEND_NAMESPACE}/{PROCESS}",
            metadata=self.metadata(PROCESS, BACKEND_NAMESPACE, annotations=waited_for),
            spec=specs.door(selector, "http", HTTP_PORT),
            opts=self.options(),
        )
        Service(
            f"{BACKEND_NAMESPACE}/{PROCESS}-headless",
            metadata=self.metadata(f"{PROCESS}-headless", BACKEND_NAMESPACE, app=PROCESS),
            spec={**specs.members(selector, http=HTTP_PORT), "publish_not_ready_addresses": True},
            opts=self.options(),
        )

    def _network(self, settings: Settings) -> None:
        """In: the gateway, and Prometheus on the admin port. Out: object storage. DNS is open to all pods."""
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{PROCESS}",
            metadata=self.metadata(PROCESS, BACKEND_NAMESPACE),
            spec=network.around(
                {APP_LABEL: PROCESS},
                ingress=[network.from_(peers.gateway(), HTTP_PORT), peers.from_prometheus(settings)],
                egress=peers.to_storage(settings.backend.object_storage),
            ),
            opts=self.options(),
        )

    def _stateful_set(self, args: PyroscopeProcessArgs) -> None:
        volumes = args.settings.backend.volumes
        StatefulSet(
            f"{BACKEND_NAMESPACE}/{PROCESS}",
            metadata=self.metadata(PROCESS, BACKEND_NAMESPACE, annotations=args.images.waited_for("pyroscope")),
            spec={
                "service_name": f"{PROCESS}-headless",
                "replicas": 1,  # one process holds the only copy of the index: a second would be a second backend
                "selector": {"match_labels": {APP_LABEL: PROCESS}},
                "persistent_volume_claim_retention_policy": {"when_deleted": "Retain", "when_scaled": "Retain"},
                "template": {
                    "metadata": {
                        "labels": self.labels(PROCESS),
                        "annotations": {"flameplane.dev/config-checksum": args.checksum, **pods.scraped(ADMIN_PORT)},
                    },
                    "spec": _pod(args),
                },
                "volume_claim_templates": [
                    {
                        "metadata": {"name": METASTORE_CLAIM, "labels": self.labels(PROCESS)},
                        "spec": {
                            "access_modes": ["ReadWriteOnce"],
                            "storage_class_name": volumes.storage_class,
                            "resources": {"requests": {"storage": volumes.metastore}},
                        },
                    }
                ],
            },
            opts=self.options(),
        )


def _pod(args: PyroscopeProcessArgs) -> PodSpecArgsDict:
    backend = args.settings.backend
    return {
        **pods.program(PROCESS, UID, 120, fs_group=True),
        "containers": [
            {
                **process(args.images),
                "args": arguments(),
                "env": [{"name": "GOMEMLIMIT", "value": f"{MEMORY_LIMIT * 9 // 10}MiB"}, *credentials(backend)],
                "resources": pods.resources("250m", "512Mi", "2", "2Gi"),
                "ports": [pods.port("http", HTTP_PORT), pods.port("metrics", ADMIN_PORT)],
                "readiness_probe": pods.http_probe("/ready", "metrics"),
                # A stuck raft node never recovers by itself; /ready says so. Ten minutes of that is a restart.
                "liveness_probe": pods.http_probe("/ready", "metrics", period=30, failures=20),
                "volume_mounts": [
                    *configuration_mounts(backend),
                    {"name": METASTORE_CLAIM, "mount_path": DATA},
                    {"name": "scratch", "mount_path": SCRATCH},
                ],
            }
        ],
        "volumes": [*configuration(backend), {"name": "scratch", "empty_dir": {"size_limit": "10Gi"}}],
    }
