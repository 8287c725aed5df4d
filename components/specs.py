"""Specs that several programs share. The objects are made where they belong, so that a finding points there."""

from collections.abc import Mapping
from typing import Final

from pulumi_kubernetes.apps.v1 import DeploymentStrategyArgsDict
from pulumi_kubernetes.core.v1 import ServiceSpecArgsDict
from pulumi_kubernetes.policy.v1 import PodDisruptionBudgetSpecArgsDict

# Never below its replicas while it is rolled out.
ROLLING: Final[DeploymentStrategyArgsDict] = {
    "type": "RollingUpdate",
    "rolling_update": {"max_surge": 1, "max_unavailable": 0},
}


def door(selector: Mapping[str, str], name: str, port: int) -> ServiceSpecArgsDict:
    """Service with an address of its own inside the cluster; its one port leads to the pods' port of that name."""
    return {
        "type": "ClusterIP",
        "selector": dict(selector),
        "ports": [{"name": name, "port": port, "target_port": name, "protocol": "TCP"}],
    }


def members(selector: Mapping[str, str], **ports: int) -> ServiceSpecArgsDict:
    """Headless Service: callers find the pods themselves, and balance over them."""
    return {
        "type": "ClusterIP",
        "cluster_ip": "None",
        "selector": dict(selector),
        "ports": [{"name": n, "port": port, "target_port": n, "protocol": "TCP"} for n, port in ports.items()],
    }


def one_at_a_time(selector: Mapping[str, str]) -> PodDisruptionBudgetSpecArgsDict:
    """Disruption budget. A pod that is not ready counts as unavailable: until it is, no other one may be drained."""
    return {"max_unavailable": 1, "selector": {"match_labels": dict(selector)}}
