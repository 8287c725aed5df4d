"""Compaction worker: merges segments into blocks of one tenant, and deletes what has expired."""

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network
from components import pyroscope_network as peers
from components.pyroscope_config import GRPC_PORT, SCRATCH
from components.pyroscope_identities import COMPACTION_WORKER, METASTORE
from components.pyroscope_part import Part, PartArgs
from schemas.allowed import BACKEND_NAMESPACE

GRACE = 300  # seconds for the job in hand; one that is cut off is given to another worker when its lease ends


class CompactionWorker(Part):
    """Stateless; it asks the metastore for jobs, so nobody calls it.

    Limits: deletions ride on compaction jobs. Without workers, or without any ingest, nothing is ever deleted.
    """

    def __init__(self, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("PyroscopeCompactionWorker", COMPACTION_WORKER, name, args, opts)
        self.service_account(BACKEND_NAMESPACE, self.app)
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE),
            spec=network.around(
                self.selector,
                ingress=[peers.from_prometheus(args.settings)],
                egress=[
                    network.to(peers.role(METASTORE), GRPC_PORT),
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
        pod = self.pod(
            grace=GRACE,
            mounts=[{"name": "scratch", "mount_path": SCRATCH}],
            volumes=[{"name": "scratch", "empty_dir": {"size_limit": "10Gi"}}],
        )
        Deployment(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE, annotations=args.images.waited_for("pyroscope")),
            spec={
                "replicas": args.size.replicas,
                "selector": {"match_labels": self.selector},
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 1, "max_unavailable": 1}},
                "template": {"metadata": self.template_metadata(), "spec": pod},
            },
            opts=self.options(),
        )
        self.register_outputs({})
