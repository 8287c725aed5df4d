"""Tenant settings: what Profiles Drilldown keeps per tenant. The gateway answers most of it itself."""

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components import network, specs
from components import pyroscope_network as peers
from components.backend_urls import HTTP_PORT
from components.pyroscope_identities import TENANT_SETTINGS
from components.pyroscope_part import Part, PartArgs
from schemas.allowed import BACKEND_NAMESPACE

GRACE = 30  # seconds


class TenantSettings(Part):
    """One replica: it writes one object as a whole, and two would overwrite each other.

    Limits: a drain may take it at any time, so it has no disruption budget; while it restarts, settings cannot be read
    from it. Profiles and queries do not need it.
    """

    def __init__(self, name: str, args: PartArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("PyroscopeTenantSettings", TENANT_SETTINGS, name, args, opts)
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
                ingress=[network.from_(peers.gateway(), HTTP_PORT), peers.from_prometheus(args.settings)],
                egress=peers.to_storage(args.settings.backend.object_storage),
            ),
            opts=self.options(),
        )
        Deployment(
            f"{BACKEND_NAMESPACE}/{self.app}",
            metadata=self.metadata(self.app, BACKEND_NAMESPACE, annotations=waited_for),
            spec={
                "replicas": args.size.replicas,
                "selector": {"match_labels": self.selector},
                "strategy": {"type": "Recreate"},
                "template": {"metadata": self.template_metadata(), "spec": self.pod(grace=GRACE)},
            },
            opts=self.options(),
        )
        self.register_outputs({})
