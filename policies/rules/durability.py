"""What has to outlive a node: the metastore's quorum, and at least one pod of every program that has several."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import WORKLOADS, at, breaks, containers, items, label, namespace, pod, template, texts, whole
from policies.pyroscope import config_files
from policies.rule import Manifest, Rule, Violation
from policies.rules.metastore import lost, runs_metastore
from schemas.allowed import NAMESPACES

REPLICATED: Final = ("Deployment", "StatefulSet")
BUDGET: Final = "PodDisruptionBudget"
HOST: Final = "kubernetes.io/hostname"
QUORUM: Final = (3, 5, 7)  # odd: an even number survives no more than one fewer


def _raft(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for config in config_files(manifests):
        expected = at(config.body, "metastore", "raft", "bootstrap_expect_peers")
        for workload in manifests:
            # What runs it and is no StatefulSet is rule FP012's.
            if workload.get("kind") != "StatefulSet" or not runs_metastore(workload, config):
                continue
            replicas = at(workload, "spec", "replicas")
            replicas = 1 if replicas is None else replicas
            if _alone(workload, config.body):
                if replicas != 1 and not any(True for _ in lost(workload, config)):  # rule FP012 says it
                    yield breaks(
                        workload,
                        f"runs {whole(replicas)} whole Pyroscopes, each with an index of its own; it must be 1",
                    )
                continue
            if replicas not in QUORUM:
                yield breaks(workload, f"runs {whole(replicas)} metastores; a quorum is {', '.join(map(str, QUORUM))}")
            if expected != replicas:
                yield breaks(
                    config.manifest,
                    f"expects {whole(expected)} metastores in {config.key}, {whole(replicas)} are declared",
                )
            peers = items(at(config.body, "metastore", "raft", "bootstrap_peers"))
            if len(peers) != replicas:
                yield breaks(
                    config.manifest, f"lists {len(peers)} peers in {config.key}, {whole(replicas)} are declared"
                )
            if not _apart(workload, required=True):
                yield breaks(workload, f"lets two metastores share a node: no required podAntiAffinity on {HOST}")


def _alone(workload: Manifest, config: Mapping[str, Any]) -> bool:
    """Whether the workload is the whole of Pyroscope in one process."""
    target = str(config.get("target") or "all")
    for container in containers(workload):
        for argument in texts(container.body.get("args")):
            if argument.lstrip("-").startswith("target="):
                target = argument.partition("=")[2]
    return "all" in target.split(",")


def _apart(workload: Manifest, *, required: bool = False) -> bool:
    """Whether replicas are kept on different nodes."""
    labels = _pods(workload)

    def mine(selector: Any) -> bool:
        wanted = at(selector, "matchLabels") or {}
        return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())

    affinity = at(pod(workload), "affinity", "podAntiAffinity") or {}
    strict = items(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
    if any(t.get("topologyKey") == HOST and mine(t.get("labelSelector")) for t in strict):
        return True
    if required:
        return False
    soft = [
        t.get("podAffinityTerm") or {} for t in items(affinity.get("preferredDuringSchedulingIgnoredDuringExecution"))
    ]
    spread = items(pod(workload).get("topologySpreadConstraints"))
    return any(mine(t.get("labelSelector")) and t.get("topologyKey") == HOST for t in (*soft, *spread))


def _disruptions(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    budgets = [m for m in manifests if m.get("kind") == BUDGET]
    for workload in manifests:
        replicas = at(workload, "spec", "replicas") or 1
        if workload.get("kind") not in REPLICATED or namespace(workload) not in NAMESPACES or replicas < 2:
            continue
        mine = [b for b in budgets if namespace(b) == namespace(workload) and _selects(b, workload)]
        if not mine:
            yield breaks(workload, "has no PodDisruptionBudget: a drain of nodes may take all its pods at once")
        if not _apart(workload):
            yield breaks(workload, f"lets all its pods share a node: neither podAntiAffinity nor spread on {HOST}")
        for budget in mine:
            most, least = at(budget, "spec", "maxUnavailable"), at(budget, "spec", "minAvailable")
            if most != 1 and not (most is None and least == replicas - 1):
                shown = f"maxUnavailable {whole(most)}" if most is not None else f"minAvailable {whole(least)}"
                yield breaks(budget, f"has {shown} for {label(workload)}; one pod at a time (maxUnavailable: 1)")


def _pods(workload: Manifest) -> Mapping[str, Any]:
    """The labels of its pods, as the workload itself finds them. That pods carry them is rule FP006's and FP048's."""
    return at(workload, "spec", "selector", "matchLabels") or at(template(workload), "metadata", "labels") or {}


def _selects(budget: Manifest, workload: Manifest) -> bool:
    labels = _pods(workload)
    wanted = at(budget, "spec", "selector", "matchLabels") or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


RULES: Final = (
    Rule(
        id="FP036",
        name="raft-quorum",
        why="Two of three metastores on one node are gone with it, and with them every query and every upload.",
        remediation="Three metastores (or five, seven) on different nodes, as many as `bootstrap_expect_peers` says; "
        "one, where Pyroscope runs as one process.",
        kinds=("ConfigMap", *WORKLOADS),
        check=_raft,
        scope="stack",
    ),
    Rule(
        id="FP037",
        name="disruption-budget",
        why="Upgrades of nodes happen every month; without a budget they take the gateway or the quorum down.",
        remediation="A PodDisruptionBudget with maxUnavailable 1 for every program with several replicas, and pods "
        "kept on different nodes.",
        kinds=(BUDGET, *REPLICATED),
        check=_disruptions,
        scope="stack",
    ),
)
