"""NetworkPolicies: every namespace starts from nothing, and what opens it names who, and which port."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import WORKLOADS, address_range, at, breaks, items, name, namespace, template
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import (
    EGRESS_PROXY,
    INTERNET_PORT,
    METADATA_ADDRESSES,
    NAMESPACES,
    PRIVATE_RANGES,
    SYSTEM_NAMESPACE,
    WIDEST_PREFIX,
)

DEFAULT_DENY: Final = "default-deny"
SHARED: Final = "dns"  # of each namespace: what all of its pods may
DIRECTIONS: Final = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


def _policies(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    policies = [m for m in manifests if m.get("kind") == "NetworkPolicy"]
    closed = {namespace(p) for p in policies if _denies_all(p)}
    weak = {namespace(p): p for p in policies if name(p) == DEFAULT_DENY and namespace(p) not in closed}
    for manifest in manifests:
        if manifest.get("kind") == "Namespace" and name(manifest) in NAMESPACES and name(manifest) not in closed:
            how = "has no default-deny NetworkPolicy" if name(manifest) not in weak else "does not deny all"
            yield breaks(
                weak.get(name(manifest), manifest),
                f"{how} (podSelector {{}}, policyTypes [Ingress, Egress], no rules): "
                "pods without a policy of their own are open",
            )
    declared = {name(m) for m in manifests if m.get("kind") == "Namespace"} & set(NAMESPACES)
    for workload in (m for m in manifests if m.get("kind") in WORKLOADS and namespace(m) in declared):
        near = [p for p in policies if namespace(p) == namespace(workload)]
        if not any(_is_about(p, workload) or (selects_all(p) and name(p) == name(workload)) for p in near):
            yield breaks(workload, "has no NetworkPolicy of its own: what it talks to is nowhere declared")
    for policy in (p for p in policies if weak.get(namespace(p)) is not p):
        if namespace(policy) in NAMESPACES and selects_all(policy):
            yield breaks(policy, f"is about every pod of its namespace; only {DEFAULT_DENY} and {SHARED} are")
        for direction, (rules, peers) in DIRECTIONS.items():
            for rule in items((policy.get("spec") or {}).get(rules)):
                yield from _rule(policy, direction, rule, peers)


def selects_all(policy: Manifest) -> bool:
    """Whether a policy is about every pod of its namespace, and is none of the two that have to be."""
    return name(policy) not in (DEFAULT_DENY, SHARED) and _everyone(policy)


def _everyone(policy: Manifest) -> bool:
    selector = at(policy, "spec", "podSelector") or {}
    return not selector.get("matchLabels") and not items(selector.get("matchExpressions"))


def _denies_all(policy: Manifest) -> bool:
    spec = policy.get("spec") or {}
    both = {str(t) for t in items(spec.get("policyTypes"))} == set(DIRECTIONS)
    return _everyone(policy) and both and not items(spec.get("ingress")) and not items(spec.get("egress"))


def _is_about(policy: Manifest, workload: Manifest) -> bool:
    """Whether a policy selects the workload's pods by their labels."""
    wanted = at(policy, "spec", "podSelector", "matchLabels") or {}
    labels = at(template(workload), "metadata", "labels") or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def _selects(selector: Mapping[str, Any] | None) -> bool:
    """Whether a label selector names whom it selects: `{}`, Exists, NotIn and DoesNotExist let in who comes later."""
    expressions = items((selector or {}).get("matchExpressions"))
    named = any(e.get("operator") == "In" and items(e.get("values")) for e in expressions)
    return bool((selector or {}).get("matchLabels")) or named


def _rule(policy: Manifest, direction: str, rule: Mapping[str, Any], peers: str) -> Iterator[Violation]:
    rule_of = f"has an {direction.lower()} rule"
    if not items(rule.get(peers)):
        yield breaks(policy, f"{rule_of} without `{peers}`: it opens to everyone")
    for peer in items(rule.get(peers)):
        if not _way_out(policy, direction, rule, peer) and (problem := _too_wide(peer)):
            yield breaks(policy, f"{rule_of} {problem}")
        elif direction == "Egress" and (reached := [a for a in METADATA_ADDRESSES if _reaches(peer, a)]):
            yield breaks(policy, f"{rule_of} that reaches the node's credentials ({', '.join(reached)})")
    ports = items(rule.get("ports"))
    if not ports or any(port.get("port") is None for port in ports):
        yield breaks(policy, f"{rule_of} that names no port: it opens all of them")
    if any(port.get("endPort") is not None for port in ports):
        yield breaks(policy, f"{rule_of} that opens a range of ports (endPort); name each")


def _reaches(peer: Mapping[str, Any], address: str) -> bool:
    block = peer.get("ipBlock") or {}
    where = ipaddress.ip_address(address)

    def has(cidr: object) -> bool:
        return (network := address_range(cidr)) is not None and where in network

    return bool(block.get("cidr")) and has(block["cidr"]) and not any(has(cidr) for cidr in items(block.get("except")))


def _way_out(policy: Manifest, direction: str, rule: Mapping[str, Any], peer: Mapping[str, Any]) -> bool:
    """The internet, for the egress proxy, on its one port, and nothing that is private."""
    proxy = {"matchLabels": {"app.kubernetes.io/name": EGRESS_PROXY}}
    ports = [(port.get("protocol"), port.get("port")) for port in items(rule.get("ports"))]
    return (
        direction == "Egress"
        and namespace(policy) == SYSTEM_NAMESPACE
        and (policy.get("spec") or {}).get("podSelector") == proxy
        and ports == [("TCP", INTERNET_PORT)]
        and set(PRIVATE_RANGES) <= set(items((peer.get("ipBlock") or {}).get("except")))
    )


def _too_wide(peer: Mapping[str, Any]) -> str | None:
    block = peer.get("ipBlock")
    if block:
        network = address_range(block.get("cidr"))
        if network is not None and network.prefixlen < WIDEST_PREFIX[network.version]:
            return f"that opens to {network}, which is no particular network"
        return None
    if _selects(peer.get("namespaceSelector")) or _selects(peer.get("podSelector")):
        return None
    who = "every pod of every namespace" if peer.get("namespaceSelector") is not None else "every pod of the namespace"
    return f"that opens to {who}"


RULES: Final = (
    Rule(
        id="FP006",
        name="default-deny-network",
        why="Pyroscope has no authentication: whoever reaches it reads every team's profiles. The network starts from"
        " nothing, both ways.",
        remediation="Keep `default-deny` in each namespace of the platform, and open what is used with the functions "
        "of components/network.py: one peer, its ports.",
        kinds=("Namespace", "NetworkPolicy", *WORKLOADS),
        check=_policies,
        scope="stack",
    ),
)
