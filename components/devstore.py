"""devstore: the backend of environment local, as long as no Pyroscope is given."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import ConfigMap, PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components import network, pods, specs
from components import pyroscope_network as peers
from components.backend_urls import DEVSTORE, HTTP_PORT, BackendUrls, backend_urls
from components.base import APP_LABEL, Component
from components.pods import METRICS_PORT, Images
from components.pyroscope_limits import overrides
from components.pyroscope_part import OVERRIDES_MAP
from components.static_volumes import PROFILES_CLAIM
from schemas.allowed import BACKEND_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Settings

NAME: Final = DEVSTORE
UID: Final = 65532
DATA: Final = "/data"
OVERRIDES: Final = "/etc/devstore"


@dataclass(frozen=True)
class DevStoreArgs:
    """The environment, its images, and the teams that are its tenants."""

    settings: Settings
    catalog: Catalog
    images: Images


class DevStore(Component):
    """One process with a database of its own on one disk. Output: ``urls``, for the gateway alone.

    It reads the same limits per tenant as Pyroscope and answers what our own clients ask (docs/devstore.md). Limits:
    one machine, no object storage; ``backend.architecture: process`` puts Pyroscope in its place, which starts empty.
    """

    urls: BackendUrls

    def __init__(self, name: str, args: DevStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("backend", "DevStore", name, opts)
        self.urls = backend_urls(args.settings.backend)
        selector = {APP_LABEL: NAME}
        self.service_account(BACKEND_NAMESPACE, NAME)
        # Read again when it changes, as by Pyroscope.
        limits = ConfigMap(
            f"{BACKEND_NAMESPACE}/{OVERRIDES_MAP}",
            metadata=self.metadata(OVERRIDES_MAP, BACKEND_NAMESPACE, app=NAME),
            data={"overrides.yaml": overrides(args.catalog, args.settings.backend)},
            opts=self.options(),
        )
        Service(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE),
            spec=specs.door(selector, "http", HTTP_PORT),
            opts=self.options(),
        )
        prometheus = network.pods(args.settings.alerts.prometheus_namespace)
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE),
            spec=network.around(
                selector,
                ingress=[
                    network.from_(peers.gateway(), HTTP_PORT),
                    network.from_(prometheus, METRICS_PORT),
                ],
            ),
            opts=self.options(),
        )
        volumes = args.settings.backend.volumes
        StatefulSet(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE),
            spec={
                "service_name": NAME,
                "replicas": 1,  # it holds the only copy
                "selector": {"match_labels": selector},
                "persistent_volume_claim_retention_policy": {"when_deleted": "Retain", "when_scaled": "Retain"},
                "template": {
                    "metadata": {"labels": self.labels(NAME), "annotations": pods.scraped(METRICS_PORT)},
                    "spec": _pod(args.images),
                },
                "volume_claim_templates": [
                    {
                        "metadata": {"name": PROFILES_CLAIM, "labels": self.labels(NAME)},
                        "spec": {
                            "access_modes": ["ReadWriteOnce"],
                            "storage_class_name": volumes.storage_class,
                            "resources": {"requests": {"storage": volumes.metastore}},
                        },
                    }
                ],
            },
            opts=self.options([limits]),
        )
        self.register_outputs({"urls": self.urls.as_config()})


def _pod(images: Images) -> PodSpecArgsDict:
    return {
        **pods.program(NAME, UID, 60, fs_group=True),
        "containers": [
            {
                "name": NAME,
                "image": images.reference(NAME),
                "image_pull_policy": images.pull_policy,
                "args": [
                    f"--listen=:{HTTP_PORT}",
                    f"--metrics=:{METRICS_PORT}",
                    f"--data={DATA}",
                    f"--overrides={OVERRIDES}/overrides.yaml",
                ],
                "security_context": pods.restricted_container(),
                "resources": pods.resources("100m", "128Mi", "1", "512Mi"),
                "ports": [pods.port("http", HTTP_PORT), pods.port("metrics", METRICS_PORT)],
                "readiness_probe": pods.http_probe("/ready", "metrics"),
                "liveness_probe": pods.http_probe("/healthz", "metrics", period=30),
                "volume_mounts": [
                    {"name": "overrides", "mount_path": OVERRIDES, "read_only": True},
                    {"name": PROFILES_CLAIM, "mount_path": DATA},
                ],
            }
        ],
        "volumes": [{"name": "overrides", "config_map": {"name": OVERRIDES_MAP}}],
    }
