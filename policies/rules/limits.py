"""Limits: of pods, so that none starves a node, and of tenants, so that none starves the others."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

from policies.objects import WORKLOADS, address_range, at, breaks, containers, items, namespace, pod, whole
from policies.pyroscope import config_files, days, flags, override_files
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import NAMESPACES, PRIVATE_RANGES, PRIVATE_RANGES_V6, WIDEST_PREFIX

# Limits of a tenant whose 0 or absence means none, and the most that any tenant of one platform has a use for.
POSITIVE: Final = {
    "ingestion_rate_mb": 1024,
    "ingestion_burst_size_mb": 4096,
    "max_profile_size_bytes": 256 << 20,
    "max_profile_stacktrace_samples": 10_000_000,
    "max_label_names_per_series": 100,
    "max_label_value_length": 4096,
}
LOOKBACKS: Final = ("max_query_lookback", "max_query_length", "reject_older_than", "reject_newer_than")


def _pods(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        if namespace(manifest) not in NAMESPACES:
            continue
        for container in containers(manifest):
            resources = container.body.get("resources") or {}
            for kind in ("requests", "limits"):
                if missing := [r for r in ("cpu", "memory") if not (resources.get(kind) or {}).get(r)]:
                    yield container.breaks(f"has no {kind} of {' and '.join(missing)}")
        for volume in items(pod(manifest).get("volumes")):
            if volume.get("emptyDir") is not None and not (volume.get("emptyDir") or {}).get("sizeLimit"):
                yield breaks(manifest, f"has the volume {volume.get('name')} without sizeLimit: it could fill the node")


def _tenants(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    files = [(f, "", f.body.get("limits") or {}) for f in config_files(manifests)]
    for file in override_files(manifests):
        files += [(file, f" of tenant {t}", of or {}) for t, of in (file.body.get("overrides") or {}).items()]
    for file, whose, limits in files:
        for key, most in POSITIVE.items():
            value = limits.get(key)
            if value is not None and not 0 < value <= most:
                yield breaks(file.manifest, f"has {key}{whose} {whole(value)} in {file.key}; valid: above 0, to {most}")
        for key in LOOKBACKS:
            if key in limits and not days(str(limits[key])):
                yield breaks(file.manifest, f"has {key}{whose} {limits[key]} in {file.key}: no limit")
        rules = limits.get("ingestion_relabeling_rules")
        if rules is not None and not any(
            at(r, "action") == "labelkeep" and at(r, "regex") != ".*" for r in items(rules)
        ):
            yield breaks(file.manifest, f"keeps every label{whose} in {file.key}: no rule with action labelkeep")
    for container, flag, value in flags(manifests):
        if flag.rpartition(".")[2].replace("-", "_") in (*POSITIVE, *LOOKBACKS):
            yield container.breaks(f"has the flag -{flag}={value}, which beats the configuration files")


def _addresses(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for policy in manifests:
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in items(at(policy, "spec", direction)):
                for peer in items(rule.get(peers)):
                    if at(peer, "ipBlock") is None:
                        continue
                    # Without any range it is everybody, which rule FP006 says.
                    cidr = at(peer, "ipBlock", "cidr")
                    for text in (*([cidr] if cidr is not None else []), *items(at(peer, "ipBlock", "except"))):
                        if address_range(text) is None:
                            yield breaks(policy, f"has an {direction} rule for {text}, which is no address range")
                    if (network := address_range(at(peer, "ipBlock", "cidr"))) is None:
                        continue
                    # All addresses at once are rule FP006's: it knows the one program that may.
                    if network.prefixlen >= WIDEST_PREFIX[network.version] and not _inside(network):
                        yield breaks(policy, f"has an {direction} rule for {network}, which is on the internet")


def _inside(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return any(network.subnet_of(ipaddress.IPv4Network(r)) for r in PRIVATE_RANGES)
    return any(network.subnet_of(ipaddress.IPv6Network(r)) for r in PRIVATE_RANGES_V6)


RULES: Final = (
    Rule(
        id="FP038",
        name="bounded-pods",
        why="A profiler that eats the node it watches is worse than none.",
        remediation="Give every container requests and limits of CPU and memory (`resources` of components/pods.py), "
        "and every emptyDir a sizeLimit.",
        kinds=WORKLOADS,
        check=_pods,
    ),
    Rule(
        id="FP044",
        name="bounded-tenants",
        why="Pyroscope takes 0 for no limit: one team's deploy would fill the bucket, or a label with user names would "
        "become a million series.",
        remediation="Leave the limits to components/pyroscope_config.py, which sizes them from services/, with the "
        "label allow-list (labelkeep).",
        kinds=("ConfigMap", *WORKLOADS),
        check=_tenants,
        scope="stack",
    ),
    Rule(
        id="FP032",
        name="private-addresses",
        why="A range on the internet in a NetworkPolicy is a way out that no host allow-list sees.",
        remediation="Name private addresses; what has to reach the internet goes through the egress proxy.",
        kinds=("NetworkPolicy",),
        check=_addresses,
    ),
)
