"""What the pods of all roles of Pyroscope share; each role is a component of its own, in a file of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import DeploymentSpecArgsDict
from pulumi_kubernetes.core.v1 import (
    ContainerArgsDict,
    ContainerPortArgsDict,
    EnvVarArgsDict,
    PodSpecArgsDict,
    ProbeArgsDict,
    ResourceRequirementsArgsDict,
    TopologySpreadConstraintArgsDict,
    VolumeArgsDict,
    VolumeMountArgsDict,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict
from pulumi_kubernetes.policy.v1 import PodDisruptionBudgetSpecArgsDict

from components import pods, specs, tls
from components.backend_urls import DOORS, HTTP_PORT
from components.base import APP_LABEL, Component
from components.pods import Images
from components.pyroscope_config import ADMIN_PORT, GOSSIP_PORT, GRPC_PORT, LOOPBACK, OVERRIDES
from components.pyroscope_identities import account
from components.pyroscope_network import GOSSIPING
from components.pyroscope_sizing import Size
from schemas.settings import Settings
from schemas.settings.backend import Backend

UID: Final = 10001  # the user of the published image
CONTAINER: Final = "pyroscope"
CONFIG_MAP: Final = "pyroscope-config"
OVERRIDES_MAP: Final = "pyroscope-overrides"
CONFIG_FOLDER: Final = "/etc/pyroscope/config"
GOSSIP_LABEL: Final = "flameplane.dev/gossip"  # on pods of the roles that keep the ring of writers
HOST: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
# On the admin port, answered by the HTTP server alone: neither the ring nor the index nor object storage is asked, so
# that their outage restarts nobody. /ready asks them all.
ALIVE: Final = "/api/v1/status/buildinfo"


@dataclass(frozen=True)
class PartArgs:
    """The environment, its images, the size of this role, and the hash of config.yaml, which is read only once."""

    settings: Settings
    images: Images
    size: Size
    checksum: str


class Part(Component):
    """One role: its name, labels, service account and pod. The objects themselves stand in the file of the role."""

    role: str

    def __init__(self, kind: str, role: str, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__("backend", kind, name, opts)
        self.role, self.args = role, args
        self.app = account(role)
        self.selector = {APP_LABEL: self.app}

    def template_metadata(self) -> ObjectMetaArgsDict:
        """Labels and annotations of the pods."""
        gossip = {GOSSIP_LABEL: "true"} if self.role in GOSSIPING else {}
        annotations = {"flameplane.dev/config-checksum": self.args.checksum, **pods.scraped(ADMIN_PORT)}
        return {"labels": {**self.labels(self.app), **gossip}, "annotations": annotations}

    def spread(self, required: bool = False) -> list[TopologySpreadConstraintArgsDict]:
        """Over zones and nodes; ``required``: rather pending than two in one place."""
        when = "DoNotSchedule" if required else "ScheduleAnyway"
        return [
            {
                "max_skew": 1,
                "topology_key": key,
                "when_unsatisfiable": when,
                "label_selector": {"match_labels": self.selector},
            }
            for key in (ZONE, HOST)
        ]

    def one_at_a_time(self) -> PodDisruptionBudgetSpecArgsDict:
        """Disruption budget; a pod that is not ready anyway does not hold up the drain of its node."""
        return {**specs.one_at_a_time(self.selector), "unhealthy_pod_eviction_policy": "AlwaysAllow"}

    def stateless(self, grace: int) -> DeploymentSpecArgsDict:
        """Deployment that is never below its replicas while it is rolled out; ``grace`` is in seconds."""
        return {
            "replicas": self.args.size.replicas,
            "selector": {"match_labels": self.selector},
            "strategy": specs.ROLLING,
            "template": {"metadata": self.template_metadata(), "spec": self.pod(grace=grace)},
        }

    def pod(
        self,
        *,
        grace: int,
        liveness: ProbeArgsDict | None = None,
        startup: ProbeArgsDict | None = None,
        volumes: Sequence[VolumeArgsDict] = (),
        mounts: Sequence[VolumeMountArgsDict] = (),
        ports: Sequence[ContainerPortArgsDict] = (),
        spread_required: bool = False,
    ) -> PodSpecArgsDict:
        """Pod of this role; ``grace`` is in seconds."""
        backend = self.args.settings.backend
        return {
            **pods.program(self.app, UID, grace, fs_group=True),
            "topology_spread_constraints": self.spread(spread_required),
            "containers": [
                {
                    **process(self.args.images),
                    "args": [*arguments(), f"-target={self.role}", *self._closed()],
                    "env": [
                        pods.field("POD_NAME", "metadata.name"),
                        pods.field("POD_IP", "status.podIP"),
                        {"name": "GOMEMLIMIT", "value": self.args.size.gomemlimit},
                        *credentials(backend),
                    ],
                    "resources": self._resources(),
                    "ports": [*self._ports(), *ports],
                    "readiness_probe": pods.http_probe("/ready", "metrics"),
                    "liveness_probe": liveness or pods.http_probe(ALIVE, "metrics", period=30, failures=4),
                    "startup_probe": startup or pods.http_probe(ALIVE, "metrics", period=5, failures=24),
                    "volume_mounts": [*configuration_mounts(backend), *mounts],
                }
            ],
            "volumes": [*configuration(backend), *volumes],
        }

    def _closed(self) -> list[str]:
        """Only what the gateway calls listens for HTTP outside its pod."""
        return [] if self.role in DOORS else [f"-server.http-listen-address={LOOPBACK}"]

    def _ports(self) -> list[ContainerPortArgsDict]:
        ports = [("http", HTTP_PORT)] if self.role in DOORS else []
        ports += [("grpc", GRPC_PORT), ("metrics", ADMIN_PORT)]
        ports += [("gossip", GOSSIP_PORT)] if self.role in GOSSIPING else []
        return [pods.port(name, number) for name, number in ports]

    def _resources(self) -> ResourceRequirementsArgsDict:
        size = self.args.size
        requests = pods.cores(size.cpu), pods.mebibytes(size.memory)
        return pods.resources(*requests, pods.cores(size.cpu_limit), pods.mebibytes(size.memory_limit))


def arguments() -> list[str]:
    """Flags of every process. A flag beats the file, so what can stand in the file does."""
    # No switch in the file: uploads of symbols are off, since nothing symbolises and nobody may upload.
    return [f"-config.file={CONFIG_FOLDER}/config.yaml", "-config.expand-env=true", "-debug-info.enabled=false"]


def credentials(backend: Backend) -> list[EnvVarArgsDict]:
    """Keys of object storage, where it has no other identity."""
    secret = backend.object_storage.credentials_secret
    if secret is None:
        return []
    return [
        {"name": "S3_ACCESS_KEY", "value_from": {"secret_key_ref": {"name": secret, "key": "access-key"}}},
        {"name": "S3_SECRET_KEY", "value_from": {"secret_key_ref": {"name": secret, "key": "secret-key"}}},
    ]


def configuration(backend: Backend) -> list[VolumeArgsDict]:
    """Volumes with config.yaml, overrides.yaml and the certificate."""
    volumes: list[VolumeArgsDict] = [
        {"name": "config", "config_map": {"name": CONFIG_MAP}},
        {"name": "overrides", "config_map": {"name": OVERRIDES_MAP}},
    ]
    if secrets := tls.secrets(backend):
        volumes.append(tls.volume(secrets.server))
    return volumes


def configuration_mounts(backend: Backend) -> list[VolumeMountArgsDict]:
    """Where they are mounted, read-only. Certificates are read again at every handshake, so a new one needs nothing."""
    mounts: list[VolumeMountArgsDict] = [
        {"name": "config", "mount_path": CONFIG_FOLDER, "read_only": True},
        {"name": "overrides", "mount_path": OVERRIDES.rpartition("/")[0], "read_only": True},
    ]
    if backend.tls:
        mounts.append({"name": tls.VOLUME, "mount_path": tls.SERVER_FOLDER, "read_only": True})
    return mounts


def process(images: Images) -> ContainerArgsDict:
    """What every container of Pyroscope has, before its role is known."""
    return {
        "name": CONTAINER,
        "image": images.reference("pyroscope"),
        "image_pull_policy": images.pull_policy,
        "security_context": pods.restricted_container(),
    }
