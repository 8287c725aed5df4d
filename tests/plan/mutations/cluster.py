"""Namespaces, workload controllers, volumes of the cluster, disruption budgets, priorities."""

from collections.abc import Iterator

from mutations.edit import Edit, Mutation, Path, appended, drop, each, get, mutating, put, removed, replaced
from policies.objects import POD_PATHS
from policies.rule import Manifest

PREFIX = "pod-security.kubernetes.io/"


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    kind = manifest["kind"]
    if kind == "Namespace":
        yield from mutating(manifest, _namespace(manifest))
    elif kind in POD_PATHS:
        yield from mutating(manifest, _controller(manifest))
    elif kind == "PersistentVolume":
        yield from mutating(manifest, _volume(manifest))
    elif kind == "PodDisruptionBudget":
        yield from mutating(manifest, _budget(manifest))
    elif kind in ("PrometheusRule", "PodMonitor"):
        yield Mutation(manifest, None, "left out")
    elif kind == "PriorityClass":
        yield from mutating(manifest, replaced(manifest, ("preemptionPolicy",), "PreemptLowerPriority"))
        yield from mutating(manifest, removed(manifest, ("preemptionPolicy",)))
        yield from mutating(manifest, replaced(manifest, ("value",), 1_000_000_000))
        yield from mutating(manifest, replaced(manifest, ("globalDefault",), True))
    if get(manifest, ("metadata", "namespace")):
        yield from mutating(manifest, replaced(manifest, ("metadata", "namespace"), "default", "kube-system"))


def _namespace(manifest: Manifest) -> Iterator[Edit]:
    yield "left out", None
    labels: Path = ("metadata", "labels")
    for key in get(manifest, labels) or {}:
        if key.startswith(PREFIX):
            yield from removed(manifest, (*labels, key))
            yield from replaced(manifest, (*labels, key), "privileged", "baseline")
    yield from replaced(manifest, (*labels, f"{PREFIX}enforce-version"), "v1.20")


def _controller(manifest: Manifest) -> Iterator[Edit]:
    update: Path = ("spec", "updateStrategy")
    if manifest["kind"] == "DaemonSet":
        yield from replaced(manifest, (*update, "rollingUpdate", "maxSurge"), 1, "10%")
        yield from replaced(manifest, (*update, "type"), "OnDelete")
    if manifest["kind"] == "CronJob":
        yield from replaced(manifest, ("spec", "concurrencyPolicy"), "Allow")
        yield from removed(manifest, ("spec", "concurrencyPolicy"))
    if manifest["kind"] == "StatefulSet":
        yield from removed(manifest, ("spec", "volumeClaimTemplates"))
        for claim in each(manifest, ("spec", "volumeClaimTemplates")):
            name = get(manifest, (*claim, "metadata", "name"))
            without = drop(manifest, claim)
            volumes: Path = ("spec", "template", "spec", "volumes")
            yield (
                f"claim {name} an emptyDir",
                put(
                    without,
                    volumes,
                    [*(get(manifest, volumes) or []), {"name": name, "emptyDir": {"sizeLimit": "10Gi"}}],
                ),
            )
        for when in ("whenDeleted", "whenScaled"):
            yield from replaced(manifest, ("spec", "persistentVolumeClaimRetentionPolicy", when), "Delete")


def _volume(manifest: Manifest) -> Iterator[Edit]:
    yield from replaced(manifest, ("spec", "persistentVolumeReclaimPolicy"), "Delete", "Recycle")
    yield from removed(manifest, ("spec", "persistentVolumeReclaimPolicy"))
    if get(manifest, ("spec", "hostPath")):
        yield from replaced(manifest, ("spec", "hostPath", "path"), "/", "/etc")
    if get(manifest, ("spec", "local")):
        yield from replaced(manifest, ("spec", "local", "path"), "/", "/etc")
    yield from removed(manifest, ("spec", "claimRef"))
    if get(manifest, ("spec", "claimRef")):
        yield from replaced(manifest, ("spec", "claimRef", "namespace"), "default")
        yield from replaced(manifest, ("spec", "claimRef", "name"), "other")
    yield from appended(manifest, ("spec", "accessModes"), "ReadWriteMany")


def _budget(manifest: Manifest) -> Iterator[Edit]:
    yield "left out", None
    yield from removed(manifest, ("spec", "maxUnavailable"))
    yield from replaced(manifest, ("spec", "maxUnavailable"), "100%")
    yield from replaced(manifest, ("spec", "selector"), {"matchLabels": {"other": "true"}})
