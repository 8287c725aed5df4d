"""The network as NetworkPolicies really open it: which pods each one selects, and which edges that gives them.

A policy that selects other pods than it is called after opens nothing for those that needed it, and something for
others: only the edges of each program's pods show that. Written as in schemas/reviewed/network.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from policies.compare import put
from policies.objects import at, items, name, namespace, template, texts, whole
from policies.rule import Manifest
from schemas.reviewed.network import Edge, labels_text

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
# Direction -> where its rules and their peers stand, and how the edge is written.
DIRECTIONS: Final = {"Ingress": ("ingress", "from", "<-"), "Egress": ("egress", "to", "->")}
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


class Opening(NamedTuple):
    """An edge, and the policy that opens it, by which peer of which of its rules."""

    edge: Edge
    policy: Manifest
    direction: str
    rule: int
    peer: int

    def closed(self) -> Manifest:
        """The policy without that peer; without the whole rule where it has no other."""
        rules, peers, _ = DIRECTIONS[self.direction]
        listed = list(items(at(self.policy, "spec", rules)))
        left = [peer for index, peer in enumerate(items(listed[self.rule].get(peers))) if index != self.peer]
        listed[self.rule : self.rule + 1] = [{**listed[self.rule], peers: left}] if left else []
        return put(self.policy, ("spec", rules), listed)


def program(workload: Manifest) -> str:
    """How edges name a workload: `namespace/name`."""
    return f"{namespace(workload)}/{name(workload)}"


def selecting(workload: Manifest, policies: Sequence[Manifest]) -> list[Manifest]:
    """The policies of its namespace that select the workload's pods."""
    labels = at(template(workload), "metadata", "labels") or {}
    return [
        p for p in policies if namespace(p) == namespace(workload) and selects(at(p, "spec", "podSelector"), labels)
    ]


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, Any]) -> bool:
    """Whether a label selector selects these labels; an empty one selects all."""
    wanted = (selector or {}).get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in items((selector or {}).get("matchExpressions"))
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, operator, values = str(expression.get("key")), expression.get("operator"), texts(expression.get("values"))
    if operator not in _OPERATORS:
        raise ValueError(f"the operator {operator} of a label selector is not known")
    if operator in ("Exists", "DoesNotExist"):
        return (key in labels) is (operator == "Exists")
    return (labels.get(key) in values) is (operator == "In")


def openings(workload: Manifest, policies: Sequence[Manifest]) -> Iterator[Opening]:
    """Every edge that policies open for a workload's pods."""
    for policy in selecting(workload, policies):
        for direction in types(policy):
            rules, peers, arrow = DIRECTIONS[direction]
            for index, rule in enumerate(items(at(policy, "spec", rules))):
                for which, peer in enumerate(items(rule.get(peers)) or [None]):
                    for port in items(rule.get("ports")) or [None]:
                        edge = Edge(program(workload), arrow, peer_text(policy, peer), port_text(port))
                        yield Opening(edge, policy, direction, index, which)


def types(policy: Manifest) -> list[str]:
    """The directions in which a policy has effect, as the API server fills them in."""
    named = texts(at(policy, "spec", "policyTypes"))
    assumed = ["Ingress", *(["Egress"] if items(at(policy, "spec", "egress")) else [])]
    return [t for t in DIRECTIONS if t in (named or assumed)]


def peer_text(policy: Manifest, peer: Mapping[str, Any] | None) -> str:
    """A peer in words."""
    if not peer:
        return "everyone"
    if block := peer.get("ipBlock"):
        left_out = ",".join(sorted(texts(block.get("except"))))
        return f"{block.get('cidr')} but {left_out}" if left_out else str(block.get("cidr"))
    spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector")
    return f"{namespace(policy) if spaces is None else _spaces(spaces)}/{_selector(pods)}"


def _spaces(selector: Mapping[str, Any]) -> str:
    """One namespace by its name, a set of them in braces; anything else by its selector."""
    labels, expressions = selector.get("matchLabels") or {}, items(selector.get("matchExpressions"))
    if set(labels) == {NAMESPACE_LABEL} and not expressions:
        return str(labels[NAMESPACE_LABEL])
    if len(expressions) == 1 and not labels:
        (one,) = expressions
        if one.get("key") == NAMESPACE_LABEL and one.get("operator") == "In":
            return f"{{{','.join(sorted(texts(one.get('values'))))}}}"
    return f"({_selector(selector)})"


def _selector(selector: Mapping[str, Any] | None) -> str:
    labels = (selector or {}).get("matchLabels") or {}
    found = [labels_text(labels)] if labels else []
    for one in items((selector or {}).get("matchExpressions")):
        found.append(" ".join([str(one.get("key")), str(one.get("operator")), ",".join(texts(one.get("values")))]))
    return " and ".join(found) or "*"


def port_text(port: Mapping[str, Any] | None) -> str:
    """A port in words: `TCP/4040`, `TCP/4040-4050`, `any port`."""
    if port is None or port.get("port") is None:
        return "any port"
    end = f"-{whole(port['endPort'])}" if port.get("endPort") is not None else ""
    number = whole(port["port"])
    where = f"the port named {number}" if isinstance(number, str) else str(number)
    return f"{'TCP' if port.get('protocol') is None else port['protocol']}/{where}{end}"
