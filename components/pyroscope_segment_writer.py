"""Segment writer: gathers profiles in memory and writes them to object storage, one object per shard and interval."""

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network, specs
from components import pyroscope_network as peers
from components.pyroscope_config import GRPC_PORT, headless
from components.pyroscope_identities import DISTRIBUTOR, METASTORE, SEGMENT_WRITER
from components.pyroscope_part import Part, PartArgs
from schemas.allowed import BACKEND_NAMESPACE

GRACE = 600  # seconds, as in Pyroscope's chart: what is in memory has been acknowledged to nobody yet, but is wanted


class SegmentWriter(Part):
    """A StatefulSet for its names alone: members of the ring keep theirs over a restart. It has no disk and needs none.

    Limits: a profile is acknowledged once its segment and the index entry are written, so a writer that dies loses only
    what its clients send again. Every replica costs PUTs all day, whether profiles come or not.
    """

    def __init__(self, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("PyroscopeSegmentWriter", SEGMENT_WRITER, name, args, opts)
        waited_for = args.images.waited_for("pyroscope")
        self.service_account(BACKEND_NAMESPACE, self.app)
        Service(
            f"{BACKEND_NAMESPACE}/{headless(SEGMENT_WRITER)}",
            metadata=self.metadata(headless(SEGMENT_WRITER), BACKEND_NAMESPACE, app=self.app, annotations=waited_for),
            spec=specs.members(self.selector, grpc=GRPC_PORT),
            opts=self.options(),
        )
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE),
            spec=network.around(
                self.selector,
                ingress=[
                    network.from_(peers.role(DISTRIBUTOR), GRPC_PORT),
                    peers.from_gossip(),
                    peers.from_prometheus(args.settings),
                ],
                egress=[
                    network.to(peers.role(METASTORE), GRPC_PORT),
                    peers.to_gossip(),
                    *peers.to_storage(args.settings.backend.object_storage),
                ],
            ),
            opts=self.options(),
        )
        PodDisruptionBudget(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE),
            spec=self.one_at_a_time(),
            opts=self.options(),
        )
        StatefulSet(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE, annotations=waited_for),
            spec={
                "service_name": headless(SEGMENT_WRITER),
                "replicas": args.size.replicas,
                "pod_management_policy": "Parallel",
                "selector": {"match_labels": self.selector},
                "template": {"metadata": self.template_metadata(), "spec": self.pod(grace=GRACE)},
            },
            opts=self.options(),
        )
        self.register_outputs({})
