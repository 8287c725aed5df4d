"""Parts of NetworkPolicies. Every namespace starts closed (foundation.py); components open what they use."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from pulumi_kubernetes.networking.v1 import (
    NetworkPolicyEgressRuleArgsDict,
    NetworkPolicyIngressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
    NetworkPolicyPortArgsDict,
    NetworkPolicySpecArgsDict,
)

from components.base import APP_LABEL
from schemas.allowed import POD_IDENTITY_ADDRESS, PRIVATE_RANGES
from schemas.settings.correlation import service_namespace

NAMESPACE_LABEL: Final = (
    "kubernetes.io/metadata.name"  # set by the API server itself: nobody can take another namespace's name
)


def around(
    selector: Mapping[str, str],
    *,
    ingress: Sequence[NetworkPolicyIngressRuleArgsDict] = (),
    egress: Sequence[NetworkPolicyEgressRuleArgsDict] = (),
) -> NetworkPolicySpecArgsDict:
    """All that the pods of a program may do. A direction without rules has no key: nothing is allowed. An empty list
    says the same, but is written anew at every apply."""
    spec: NetworkPolicySpecArgsDict = {
        "pod_selector": {"match_labels": dict(selector)},
        "policy_types": ["Ingress", "Egress"],
    }
    if ingress:
        spec["ingress"] = ingress
    if egress:
        spec["egress"] = egress
    return spec


def pods(namespace: str, labels: Mapping[str, str] | None = None) -> NetworkPolicyPeerArgsDict:
    """Pods of one namespace: those with ``labels``, or all."""
    peer: NetworkPolicyPeerArgsDict = {"namespace_selector": {"match_labels": {NAMESPACE_LABEL: namespace}}}
    if labels:
        peer["pod_selector"] = {"match_labels": dict(labels)}
    return peer


def app(namespace: str, name: str) -> NetworkPolicyPeerArgsDict:
    """Pods of one of the platform's own programs."""
    return pods(namespace, {APP_LABEL: name})


def namespaces(names: Sequence[str]) -> NetworkPolicyPeerArgsDict:
    """All pods of several namespaces."""
    return {
        "namespace_selector": {
            "match_expressions": [{"key": NAMESPACE_LABEL, "operator": "In", "values": sorted(names)}]
        }
    }


def addresses(cidr: str) -> NetworkPolicyPeerArgsDict:
    """An address range outside the pod network."""
    return {"ip_block": {"cidr": cidr}}


def tcp(*ports: int) -> list[NetworkPolicyPortArgsDict]:
    """TCP ports."""
    return [{"protocol": "TCP", "port": p} for p in ports]


def to(peer: NetworkPolicyPeerArgsDict, *ports: int) -> NetworkPolicyEgressRuleArgsDict:
    """Egress rule to one peer."""
    return {"to": [peer], "ports": tcp(*ports)}


def from_(peer: NetworkPolicyPeerArgsDict, *ports: int) -> NetworkPolicyIngressRuleArgsDict:
    """Ingress rule from one peer."""
    return {"from_": [peer], "ports": tcp(*ports)}


def to_dns() -> NetworkPolicyEgressRuleArgsDict:
    """The cluster's DNS."""
    return {
        "to": [pods("kube-system", {"k8s-app": "kube-dns"})],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }


def to_internet(*ports: int) -> NetworkPolicyEgressRuleArgsDict:
    """Public IPv4 addresses. Private and link-local ones, the metadata service among them, stay closed."""
    return {"to": [{"ip_block": {"cidr": "0.0.0.0/0", "except_": list(PRIVATE_RANGES)}}], "ports": tcp(*ports)}


def to_pod_identity() -> NetworkPolicyEgressRuleArgsDict:
    """The node's agent that gives a pod its own cloud role (EKS); only for pods that have one."""
    return to(addresses(f"{POD_IDENTITY_ADDRESS}/32"), 80)


def to_url(namespace: str, url: str) -> NetworkPolicyEgressRuleArgsDict:
    """The server of a URL, which runs in ``namespace``; only its port is opened."""
    parsed = urlsplit(url)
    return to(pods(namespace), parsed.port or {"http": 80, "https": 443}[parsed.scheme])


def to_service(url: str) -> NetworkPolicyEgressRuleArgsDict:
    """The server of a URL that names a Service of the cluster, whose pods listen on the Service's own port."""
    return to_url(service_namespace(url) or "", url)


def to_api_server(cidr: str) -> NetworkPolicyEgressRuleArgsDict:
    """The API server: policies are judged after the Service address was translated, so its real port counts."""
    return to(addresses(cidr), 443, 6443)
