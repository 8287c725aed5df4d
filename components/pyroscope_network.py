"""Parts of the NetworkPolicies of the backend: object storage, its identity, and roles as peers."""

from pulumi_kubernetes.networking.v1 import (
    NetworkPolicyEgressRuleArgsDict,
    NetworkPolicyIngressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
)

from components import network
from components.base import APP_LABEL
from components.object_storage import NAME as OBJECT_STORAGE
from components.object_storage import S3_PORT
from components.pyroscope_config import ADMIN_PORT, GOSSIP_PORT
from components.pyroscope_identities import DISTRIBUTOR, QUERY_FRONTEND, SEGMENT_WRITER, account
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE
from schemas.settings import Settings
from schemas.settings.backend import ObjectStorage

# Who keeps the ring of writers (Pyroscope's module table, `pkg/pyroscope/pyroscope.go`): nobody else gossips.
GOSSIPING = (DISTRIBUTOR, SEGMENT_WRITER, QUERY_FRONTEND)


def role(name: str) -> NetworkPolicyPeerArgsDict:
    """Pods of one role."""
    return network.app(BACKEND_NAMESPACE, account(name))


def gateway() -> NetworkPolicyPeerArgsDict:
    """The only program outside the backend that calls it."""
    return network.app(ACCESS_NAMESPACE, "gateway")


def from_prometheus(settings: Settings) -> NetworkPolicyIngressRuleArgsDict:
    """The admin port, which has /ops beside /metrics, is for Prometheus itself: not for its whole namespace."""
    peer = network.pods(settings.alerts.prometheus_namespace, {APP_LABEL: "prometheus"})
    return network.from_(peer, ADMIN_PORT)


def to_storage(storage: ObjectStorage) -> list[NetworkPolicyEgressRuleArgsDict]:
    """Object storage, and where the pod's own cloud identity comes from."""
    if storage.egress is None:
        return [network.to(network.app(BACKEND_NAMESPACE, OBJECT_STORAGE), S3_PORT)]
    rules = [network.to(network.addresses(storage.egress), 443)]
    if storage.credentials_secret is None:
        rules.append(network.to_pod_identity())
    return rules


def from_gossip() -> NetworkPolicyIngressRuleArgsDict:
    """Gossip of the other members of the ring."""
    return {
        "from_": [role(name) for name in GOSSIPING],
        "ports": network.tcp(GOSSIP_PORT),
    }


def to_gossip() -> NetworkPolicyEgressRuleArgsDict:
    """Gossip with the other members of the ring."""
    return {"to": [role(name) for name in GOSSIPING], "ports": network.tcp(GOSSIP_PORT)}
