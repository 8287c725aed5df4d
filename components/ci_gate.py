"""The regression gate's place in the cluster: who may ask it, about what, and by which published settings."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components.base import Component
from components.gateway_config import ci_gate_config
from schemas.allowed import ACCESS_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Settings

NAME: Final = "ci-gate"


@dataclass(frozen=True)
class CiGateArgs:
    """CI issuers of the environment, and the services they may ask about."""

    settings: Settings
    catalog: Catalog


class CiGate(Component):
    """One ConfigMap for the gateway, and an identity for gates that run as jobs inside the cluster.

    Gates of service repositories run in CI and prove themselves by their job's OIDC token; no credential is handed out.
    Output: ``config_map``, which the gateway mounts.
    """

    config_map: str

    def __init__(self, name: str, args: CiGateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("regression", "CiGate", name, opts)
        self.config_map = NAME
        ConfigMap(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            data=ci_gate_config(args.settings, args.catalog),
            opts=self.options(),
        )
        self.service_account(ACCESS_NAMESPACE, NAME)
        read: PolicyRuleArgsDict = {
            "api_groups": [""],
            "resources": ["configmaps"],
            "resource_names": [NAME],
            "verbs": ["get"],
        }
        self.allow(ACCESS_NAMESPACE, NAME, [read])
        self.register_outputs({"configMap": self.config_map})
