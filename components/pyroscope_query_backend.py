"""Query backend: reads blocks from object storage and merges profiles, in a tree of calls over its own replicas."""

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network, specs
from components import pyroscope_network as peers
from components.pyroscope_config import GRPC_PORT, headless
from components.pyroscope_identities import QUERY_BACKEND, QUERY_FRONTEND
from components.pyroscope_part import Part, PartArgs
from schemas.allowed import BACKEND_NAMESPACE

GRACE = 120  # seconds: the longest query may end


class QueryBackend(Part):
    """Stateless; reads objects and writes none.

    Limits: a large query is spread over all replicas, so their number bounds its speed. Callers learn of a new replica
    when they connect again.
    """

    def __init__(self, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("PyroscopeQueryBackend", QUERY_BACKEND, name, args, opts)
        waited_for = args.images.waited_for("pyroscope")
        self.service_account(BACKEND_NAMESPACE, self.app)
        Service(
            f"{BACKEND_NAMESPACE}/{headless(QUERY_BACKEND)}",
            metadata=self.metadata(headless(QUERY_BACKEND), BACKEND_NAMESPACE, app=self.app, annotations=waited_for),
            spec=specs.members(self.selector, grpc=GRPC_PORT),
            opts=self.options(),
        )
        callers = [peers.role(QUERY_FRONTEND), peers.role(QUERY_BACKEND)]
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE),
            spec=network.around(
                self.selector,
                ingress=[
                    {"from_": callers, "ports": network.tcp(GRPC_PORT)},
                    peers.from_prometheus(args.settings),
                ],
                egress=[
                    network.to(peers.role(QUERY_BACKEND), GRPC_PORT),
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
        Deployment(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE, annotations=waited_for),
            spec=self.stateless(GRACE),
            opts=self.options(),
        )
        self.register_outputs({})
