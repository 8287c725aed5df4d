"""NetworkPolicies, Services and what else leads traffic."""

from collections.abc import Iterator

from mutations.edit import Edit, Mutation, Path, appended, drop, each, get, mutating, removed, replaced, shown
from policies.rule import Manifest

ANYONE = {"cidr": "0.0.0.0/0"}
NAMESPACE = "kubernetes.io/metadata.name"
DIRECTIONS = {"ingress": "from", "egress": "to"}


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    if manifest["kind"] == "NetworkPolicy":
        yield from mutating(manifest, _policy(manifest))
    if manifest["kind"] == "Service":
        yield from mutating(manifest, _service(manifest))


def _policy(manifest: Manifest) -> Iterator[Edit]:
    yield "left out", None
    yield from replaced(manifest, ("metadata", "namespace"), "default")
    if get(manifest, ("spec", "podSelector")):
        yield from replaced(manifest, ("spec", "podSelector"), {})
        yield from removed(manifest, ("spec", "podSelector", "matchLabels"))
    else:
        yield from replaced(manifest, ("spec", "podSelector"), {"matchLabels": {"app.kubernetes.io/name": "other"}})
    for entry in [*each(manifest, ("spec", "policyTypes")), ("spec", "policyTypes")]:
        without = drop(manifest, entry)
        if not _isolated(without) >= _isolated(manifest):
            yield f"{shown(entry)} removed", without
    for direction, peers in DIRECTIONS.items():
        rules: Path = ("spec", direction)
        yield from appended(manifest, rules, {}, {peers: [{"namespaceSelector": {}}], "ports": [{"port": 4040}]})
        for rule in each(manifest, rules):
            yield from _rule(manifest, rule, peers)


def _isolated(policy: Manifest) -> set[str]:
    """The directions in which a policy isolates; without policyTypes the API server fills them in."""
    assumed = {"Ingress", *(["Egress"] if get(policy, ("spec", "egress")) else [])}
    return set(get(policy, ("spec", "policyTypes")) or assumed)


def _rule(manifest: Manifest, rule: Path, peers: str) -> Iterator[Edit]:
    yield from removed(manifest, (*rule, peers))
    yield from replaced(manifest, (*rule, peers), [])
    yield from removed(manifest, (*rule, "ports"))
    yield from appended(manifest, (*rule, peers), {"ipBlock": ANYONE}, {"namespaceSelector": {}}, {"podSelector": {}})
    yield from appended(manifest, (*rule, "ports"), {"protocol": "TCP", "port": 22})
    for peer in each(manifest, (*rule, peers)):
        yield from replaced(manifest, peer, {"ipBlock": ANYONE}, {"namespaceSelector": {}}, {"podSelector": {}})
        own = get(manifest, (*peer, "namespaceSelector", "matchLabels")) == {
            NAMESPACE: get(manifest, ("metadata", "namespace"))
        }
        for selector in ("namespaceSelector", "podSelector"):
            if not (own and selector == "namespaceSelector"):  # pods of the policy's own namespace either way
                yield from removed(manifest, (*peer, selector))
            if get(manifest, (*peer, selector)):
                yield from replaced(manifest, (*peer, selector), {})
            for key in get(manifest, (*peer, selector, "matchLabels")) or {}:
                yield from replaced(manifest, (*peer, selector, "matchLabels", key), "other")
        if get(manifest, (*peer, "ipBlock")):
            yield from replaced(manifest, (*peer, "ipBlock", "cidr"), "0.0.0.0/0", "::/0", "10.0.0.0/8")
    for port in each(manifest, (*rule, "ports")):
        yield from removed(manifest, (*port, "port"))
        yield from replaced(manifest, (*port, "port"), 22)
        yield from replaced(manifest, (*port, "endPort"), 65535)


def _service(manifest: Manifest) -> Iterator[Edit]:
    yield from replaced(manifest, ("spec", "type"), "LoadBalancer", "NodePort", "ExternalName")
    yield from replaced(manifest, ("spec", "externalIPs"), ["192.0.2.1"])
    yield from replaced(manifest, ("spec", "loadBalancerClass"), "service.k8s.aws/nlb")
    for key in ("external-dns.alpha.kubernetes.io/hostname", "service.beta.kubernetes.io/aws-load-balancer-scheme"):
        yield from replaced(manifest, ("metadata", "annotations", key), "public")
    for key in get(manifest, ("spec", "selector")) or {}:
        yield from replaced(manifest, ("spec", "selector", key), "other")
        yield from removed(manifest, ("spec", "selector", key))
    if get(manifest, ("spec", "internalTrafficPolicy")):
        yield from removed(manifest, ("spec", "internalTrafficPolicy"))
        yield from replaced(manifest, ("spec", "internalTrafficPolicy"), "Cluster")
    if get(manifest, ("spec", "ipFamilyPolicy")):
        yield from removed(manifest, ("spec", "ipFamilyPolicy"))
        yield from replaced(manifest, ("spec", "ipFamilyPolicy"), "SingleStack", "RequireDualStack")
    for port in each(manifest, ("spec", "ports")):
        yield from replaced(manifest, (*port, "nodePort"), 30000)
        yield from replaced(manifest, (*port, "targetPort"), 4042)
    yield from appended(manifest, ("spec", "ports"), {"name": "more", "port": 9095, "targetPort": "grpc"})
