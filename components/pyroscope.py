"""Pyroscope in one process: the backend of a small or trial environment."""

import hashlib
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import ConfigMap, EnvVarArgsDict, PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy, NetworkPolicyEgressRuleArgsDict

from components import network, pods
from components.base import APP_LABEL, Component
from components.object_storage import NAME as OBJECT_STORAGE
from components.object_storage import S3_PORT
from components.pods import Images
from components.pyroscope_config import (
    ADMIN_PORT,
    DATA,
    GRPC_PORT,
    HTTP_PORT,
    OVERRIDES,
    SCRATCH,
    overrides,
    process_config,
)
from components.static_volumes import METASTORE_CLAIM
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Backend, ObjectStorage, Settings

NAME: Final = "pyroscope"
UID: Final = 10001  # the user of the published image
URL: Final = f"http://{NAME}.{BACKEND_NAMESPACE}.svc:{HTTP_PORT}"


@dataclass(frozen=True)
class PyroscopeArgs:
    """The environment, its images, and the teams that are its tenants."""

    settings: Settings
    catalog: Catalog
    images: Images


class Pyroscope(Component):
    """StatefulSet, configuration, and a network that lets only the gateway in. Output: ``url``."""

    url: str

    def __init__(self, name: str, args: PyroscopeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("backend", "Pyroscope", name, opts)
        self.url = URL
        backend = args.settings.backend
        config = process_config(backend.object_storage)
        mounted = [
            self._config_map("pyroscope-config", {"config.yaml": config}),
            self._config_map("pyroscope-overrides", {"overrides.yaml": overrides(args.catalog)}),
        ]
        self.service_account(BACKEND_NAMESPACE, NAME)
        waited_for = args.images.waited_for("pyroscope")
        self._services(waited_for)
        self._network(args.settings)
        # The process reads config.yaml once; the overrides it reloads, so they are no reason for a restart.
        checksum = hashlib.sha256(config.encode()).hexdigest()[:16]
        self._stateful_set(backend, args.images, checksum, mounted)
        self.register_outputs({"url": self.url})

    def _config_map(self, name: str, data: dict[str, str]) -> ConfigMap:
        return ConfigMap(
            f"{BACKEND_NAMESPACE}/{name}",
            metadata=self.metadata(name, BACKEND_NAMESPACE, app=NAME),
            data=data,
            opts=self.options(),
        )

    def _services(self, waited_for: dict[str, str]) -> None:
        selector = {APP_LABEL: NAME}
        Service(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE, annotations=waited_for),
            spec={
                "type": "ClusterIP",
                "selector": selector,
                "ports": [{"name": "http", "port": HTTP_PORT, "target_port": "http", "protocol": "TCP"}],
            },
            opts=self.options(),
        )
        Service(
            f"{BACKEND_NAMESPACE}/{NAME}-headless",
            metadata=self.metadata(f"{NAME}-headless", BACKEND_NAMESPACE, app=NAME),
            spec={
                "type": "ClusterIP",
                "cluster_ip": "None",
                "selector": selector,
                "publish_not_ready_addresses": True,
                "ports": [{"name": "grpc", "port": GRPC_PORT, "target_port": "grpc", "protocol": "TCP"}],
            },
            opts=self.options(),
        )

    def _network(self, settings: Settings) -> None:
        """In: the gateway, and Prometheus on the admin port. Out: object storage. DNS is open to all pods."""
        prometheus = network.pods(settings.alerts.prometheus_namespace, {APP_LABEL: "prometheus"})
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE),
            spec={
                "pod_selector": {"match_labels": {APP_LABEL: NAME}},
                "policy_types": ["Ingress", "Egress"],
                "ingress": [
                    network.from_(network.app(ACCESS_NAMESPACE, "gateway"), HTTP_PORT),
                    network.from_(prometheus, ADMIN_PORT),
                ],
                "egress": [_to_storage(settings.backend.object_storage)],
            },
            opts=self.options(),
        )

    def _stateful_set(self, backend: Backend, images: Images, checksum: str, after: list[ConfigMap]) -> None:
        StatefulSet(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE, annotations=images.waited_for("pyroscope")),
            spec={
                "service_name": f"{NAME}-headless",
                "replicas": 1,  # one process holds the only copy of the index: a second would be a second backend
                "selector": {"match_labels": {APP_LABEL: NAME}},
                "persistent_volume_claim_retention_policy": {"when_deleted": "Retain", "when_scaled": "Retain"},
                "template": {
                    "metadata": {
                        "labels": self.labels(NAME),
                        "annotations": {"flameplane.dev/config-checksum": checksum, **pods.scraped(ADMIN_PORT)},
                    },
                    "spec": _pod(backend, images),
                },
                "volume_claim_templates": [
                    {
                        "metadata": {"name": METASTORE_CLAIM, "labels": self.labels(NAME)},
                        "spec": {
                            "access_modes": ["ReadWriteOnce"],
                            "storage_class_name": backend.volumes.storage_class,
                            "resources": {"requests": {"storage": backend.volumes.metastore}},
                        },
                    }
                ],
            },
            opts=self.options(after),
        )


def _to_storage(storage: ObjectStorage) -> NetworkPolicyEgressRuleArgsDict:
    if storage.egress is None:
        return network.to(network.app(BACKEND_NAMESPACE, OBJECT_STORAGE), S3_PORT)
    return network.to(network.addresses(storage.egress), 443)


def _pod(backend: Backend, images: Images) -> PodSpecArgsDict:
    secret = backend.object_storage.credentials_secret
    return {
        "service_account_name": NAME,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": 120,
        "security_context": pods.restricted_pod(UID, fs_group=True),
        "containers": [
            {
                "name": NAME,
                "image": images.reference("pyroscope"),
                "image_pull_policy": images.pull_policy,
                "args": ["-config.file=/etc/pyroscope/config/config.yaml", "-config.expand-env=true"],
                "env": _credentials(secret) if secret else [],
                "security_context": pods.restricted_container(),
                "resources": pods.resources("250m", "512Mi", "2", "2Gi"),
                "ports": [pods.port("http", HTTP_PORT), pods.port("grpc", GRPC_PORT), pods.port("metrics", ADMIN_PORT)],
                "readiness_probe": pods.http_probe("/ready", "metrics"),
                # A stuck raft node never recovers by itself; /ready says so. Ten minutes of that is a restart.
                "liveness_probe": pods.http_probe("/ready", "metrics", period=30, failures=20),
                "volume_mounts": [
                    {"name": "config", "mount_path": "/etc/pyroscope/config", "read_only": True},
                    {"name": "overrides", "mount_path": OVERRIDES.rpartition("/")[0], "read_only": True},
                    {"name": METASTORE_CLAIM, "mount_path": DATA},
                    {"name": "scratch", "mount_path": SCRATCH},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "config_map": {"name": "pyroscope-config"}},
            {"name": "overrides", "config_map": {"name": "pyroscope-overrides"}},
            {"name": "scratch", "empty_dir": {"size_limit": "10Gi"}},
        ],
    }


def _credentials(secret: str) -> list[EnvVarArgsDict]:
    return [
        {"name": "S3_ACCESS_KEY", "value_from": {"secret_key_ref": {"name": secret, "key": "access-key"}}},
        {"name": "S3_SECRET_KEY", "value_from": {"secret_key_ref": {"name": secret, "key": "secret-key"}}},
    ]
