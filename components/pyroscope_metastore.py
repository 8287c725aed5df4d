"""Metastore: the index of all blocks, three times, agreed by raft. The only part whose loss cannot be made good."""

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import PodAntiAffinityArgsDict, PodSpecArgsDict, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network, pods, specs
from components import pyroscope_network as peers
from components.pyroscope_config import DATA, GRPC_PORT, METASTORES, RAFT_PORT, headless
from components.pyroscope_identities import COMPACTION_WORKER, METASTORE, QUERY_FRONTEND, SEGMENT_WRITER
from components.pyroscope_part import HOST, Part, PartArgs
from components.static_volumes import METASTORE_CLAIM
from schemas.allowed import BACKEND_NAMESPACE

# Seconds: waits 10 s for the door to close, 15 s for the new leader, 15 s for clients, then closes its files.
GRACE = 300


class Metastore(Part):
    """Three replicas on disks of their own, each on another node and, as far as there are three, in another zone.

    All start at once (Parallel) and are found before they are ready (publishNotReadyAddresses): none becomes ready
    before a majority has met. Limits: two down, and nothing is written or found until one is back; profiles then wait
    in the dead-letter folder of the bucket. All disks lost, and every block is orphaned: snapshots of the volumes are
    the only backup (docs/backend.md).
    """

    def __init__(self, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("PyroscopeMetastore", METASTORE, name, args, opts)
        waited_for = args.images.waited_for("pyroscope")
        volumes = args.settings.backend.volumes
        self.service_account(BACKEND_NAMESPACE, self.app)
        Service(
            f"{BACKEND_NAMESPACE}/{headless(METASTORE)}",
            metadata=self.metadata(headless(METASTORE), BACKEND_NAMESPACE, app=self.app, annotations=waited_for),
            spec={
                **specs.members(self.selector, grpc=GRPC_PORT, raft=RAFT_PORT),
                "publish_not_ready_addresses": True,
            },
            opts=self.options(),
        )
        self._network(args)
        PodDisruptionBudget(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE),
            spec=specs.one_at_a_time(self.selector),
            opts=self.options(),
        )
        StatefulSet(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE, annotations=waited_for),
            spec={
                "service_name": headless(METASTORE),
                "replicas": METASTORES,
                "pod_management_policy": "Parallel",
                "min_ready_seconds": 30,  # an upgrade goes on when the last one has held for a while
                "persistent_volume_claim_retention_policy": {"when_deleted": "Retain", "when_scaled": "Retain"},
                "selector": {"match_labels": self.selector},
                "template": {"metadata": self.template_metadata(), "spec": self._pod()},
                "volume_claim_templates": [
                    {
                        "metadata": {"name": METASTORE_CLAIM, "labels": self.labels(self.app)},
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
        self.register_outputs({})

    def _network(self, args: PartArgs) -> None:
        clients = [peers.role(name) for name in (SEGMENT_WRITER, COMPACTION_WORKER, QUERY_FRONTEND, METASTORE)]
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE),
            spec=network.around(
                self.selector,
                ingress=[
                    {"from_": clients, "ports": network.tcp(GRPC_PORT)},
                    # Raft knows neither TLS nor passwords: whoever reaches this port can rewrite the index.
                    network.from_(peers.role(METASTORE), RAFT_PORT),
                    peers.from_prometheus(args.settings),
                ],
                egress=[
                    network.to(peers.role(METASTORE), GRPC_PORT, RAFT_PORT),
                    *peers.to_storage(args.settings.backend.object_storage),
                ],
            ),
            opts=self.options(),
        )

    def _pod(self) -> PodSpecArgsDict:
        pod = self.pod(
            grace=GRACE,
            # The index is restored and caught up before it is ready; ten minutes are a few GB.
            startup=pods.http_probe("/ready", "metrics", failures=60),
            # A stuck raft node never recovers by itself; /ready says so. Ten minutes of that is a restart.
            liveness=pods.http_probe("/ready", "metrics", period=30, failures=20),
            mounts=[{"name": METASTORE_CLAIM, "mount_path": DATA}],
            ports=[pods.port("raft", RAFT_PORT)],
            spread_required=True,
        )
        apart: PodAntiAffinityArgsDict = {
            "required_during_scheduling_ignored_during_execution": [
                {"topology_key": HOST, "label_selector": {"match_labels": self.selector}}
            ]
        }
        return {**pod, "affinity": {"pod_anti_affinity": apart}}
