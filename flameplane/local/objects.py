"""Kubernetes objects as plain data: what identifies one, and the order in which a platform is put in place."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flameplane.local.kubectl import Object

# Places in the order of an apply; a removal goes the other way.
NAMESPACE, CLUSTER, CONFIGURATION, WORKLOAD = range(4)
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")
ADMISSION = (
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
)


class Key(NamedTuple):
    """What identifies an object across API versions."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def type(self) -> str:
        """Kind and group as kubectl takes them: deployment.apps, configmap."""
        return f"{self.kind}.{self.group}".rstrip(".").lower()


def key(item: Object) -> Key:
    """The key of an object."""
    group, slash, _ = item["apiVersion"].partition("/")
    metadata = item["metadata"]
    return Key(group if slash else "", item["kind"], metadata.get("namespace", ""), metadata["name"])


def rank(item: Key) -> int:
    """Place in the order: namespaces, then what has no namespace (admission policies among it), the rest, workloads.

    So whatever guards or configures a workload is there before its pods are made.
    """
    if item.kind == "Namespace":
        return NAMESPACE
    if item.kind in WORKLOADS:
        return WORKLOAD
    return CONFIGURATION if item.namespace else CLUSTER


def in_order(items: Iterable[Object]) -> list[Object]:
    """Objects in the order of `rank`, else as they came (a program declares what is needed first)."""
    return sorted(items, key=lambda item: rank(key(item)))


def listing(keys: Sequence[Key], limit: int = 20) -> list[str]:
    """Names for a message, cut when there are many."""
    shown = [str(k) for k in keys[:limit]]
    return [*shown, f"... and {len(keys) - limit} more"] if len(keys) > limit else shown
