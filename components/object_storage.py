"""SeaweedFS: the object storage of environment local."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import ContainerArgsDict, PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components import network, pods, specs
from components.base import APP_LABEL, Component
from components.pods import Images
from components.static_volumes import BLOCKS_CLAIM
from schemas.allowed import BACKEND_NAMESPACE
from schemas.settings import Backend

NAME: Final = "object-storage"
S3_PORT: Final = 8333
UID: Final = 10002


@dataclass(frozen=True)
class ObjectStorageArgs:
    """Bucket, sizes and the name of the Secret with the keys."""

    backend: Backend
    images: Images


class ObjectStorage(Component):
    """One pod: the store on loopback, and in front of it an S3 server that asks for keys.

    SeaweedFS answers anybody on its own ports (master, volumes, filer), so these never leave the pod: ``mini`` binds to
    127.0.0.1 and makes the bucket, and only the second container listens outside. The key is scoped to that bucket.
    """

    def __init__(self, name: str, args: ObjectStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("backend", "ObjectStorage", name, opts)
        backend = args.backend
        selector = {APP_LABEL: NAME}
        self.service_account(BACKEND_NAMESPACE, NAME)
        Service(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE),
            spec=specs.door(selector, "s3", S3_PORT),
            opts=self.options(),
        )
        reads = [] if backend.architecture == "devstore" else [network.app(BACKEND_NAMESPACE, "pyroscope")]
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE),
            spec=network.around(selector, ingress=[network.from_(peer, S3_PORT) for peer in reads]),
            opts=self.options(),
        )
        StatefulSet(
            f"{BACKEND_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, BACKEND_NAMESPACE),
            spec={
                "service_name": NAME,
                "replicas": 1,
                "selector": {"match_labels": selector},
                "template": {"metadata": {"labels": self.labels(NAME)}, "spec": _pod(args)},
                "volume_claim_templates": [
                    {
                        "metadata": {"name": BLOCKS_CLAIM, "labels": self.labels(NAME)},
                        "spec": {
                            "access_modes": ["ReadWriteOnce"],
                            "storage_class_name": backend.volumes.storage_class,
                            "resources": {"requests": {"storage": backend.volumes.blocks or backend.volumes.metastore}},
                        },
                    }
                ],
            },
            opts=self.options(),
        )
        self.register_outputs({})


def _pod(args: ObjectStorageArgs) -> PodSpecArgsDict:
    storage = args.backend.object_storage
    return {
        **pods.program(NAME, UID, 30, fs_group=True),
        "containers": [
            {
                **_weed(args.images, "store"),
                "args": [
                    "mini",
                    "-dir=/data",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-s3=false",
                    f"-bucket={storage.bucket}",
                    "-master.telemetry=false",
                    "-disableHttp",
                    "-webdav=false",
                    "-admin.ui=false",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                ],
                "resources": pods.resources("50m", "192Mi", "1", "768Mi"),
                "volume_mounts": [
                    {"name": BLOCKS_CLAIM, "mount_path": "/data"},
                    {"name": "store-tmp", "mount_path": "/tmp"},  # noqa: S108
                ],
            },
            {
                **_weed(args.images, "s3"),
                "args": [
                    "s3",
                    "-filer=127.0.0.1:8888",
                    "-ip.bind=0.0.0.0",
                    f"-port={S3_PORT}",
                    "-config=/etc/object-storage/s3.json",
                    "-port.iceberg=0",
                    "-port.lance=0",
                    "-iam=false",
                ],
                "resources": pods.resources("50m", "128Mi", "1", "512Mi"),
                "ports": [pods.port("s3", S3_PORT)],
                "readiness_probe": pods.http_probe("/healthz", "s3"),
                "liveness_probe": pods.http_probe("/healthz", "s3", period=30),
                "volume_mounts": [
                    {"name": "identities", "mount_path": "/etc/object-storage", "read_only": True},
                    {"name": "s3-tmp", "mount_path": "/tmp"},  # noqa: S108
                ],
            },
        ],
        "volumes": [
            # Made by whoever makes the cluster, never by this program: keys are in no settings file and in no state.
            {
                "name": "identities",
                "secret": {"secret_name": storage.credentials_secret, "items": [{"key": "s3.json", "path": "s3.json"}]},
            },
            {"name": "store-tmp", "empty_dir": {"size_limit": "64Mi"}},
            {"name": "s3-tmp", "empty_dir": {"size_limit": "64Mi"}},
        ],
    }


def _weed(images: Images, name: str) -> ContainerArgsDict:
    return {
        "name": name,
        "image": images.reference("seaweedfs"),
        "image_pull_policy": images.pull_policy,
        "security_context": pods.restricted_container(),
    }
