"""Query frontend: where queries come in. It asks the metastore for blocks and lets the query backends read them."""

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import network, specs
from components import pyroscope_network as peers
from components.backend_urls import HTTP_PORT
from components.pyroscope_config import GRPC_PORT
from components.pyroscope_identities import METASTORE, QUERY_BACKEND, QUERY_FRONTEND
from components.pyroscope_part import Part, PartArgs
from schemas.allowed import BACKEND_NAMESPACE

GRACE = 120  # seconds: the longest query may end


class QueryFrontend(Part):
    """Stateless; the gateway's way in for queries.

    Limits: it believes the tenant header, several tenants at once included; only the gateway reaches it, and only the
    gateway sets that header.
    """

    def __init__(self, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("PyroscopeQueryFrontend", QUERY_FRONTEND, name, args, opts)
        waited_for = args.images.waited_for("pyroscope")
        self.service_account(BACKEND_NAMESPACE, self.app)
        Service(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE, annotations=waited_for),
            spec=specs.door(self.selector, "http", HTTP_PORT),
            opts=self.options(),
        )
        NetworkPolicy(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE),
            spec=network.around(
                self.selector,
                ingress=[
                    network.from_(peers.gateway(), HTTP_PORT),
                    peers.from_gossip(),
                    peers.from_prometheus(args.settings),
                ],
                egress=[
                    network.to(peers.role(METASTORE), GRPC_PORT),
                    network.to(peers.role(QUERY_BACKEND), GRPC_PORT),
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
        Deployment(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE, annotations=waited_for),
            spec=self.stateless(GRACE),
            opts=self.options(),
        )
        self.register_outputs({})
