"""Bring the API server to what the program declares: check everything, then apply in order, then remove the rest."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from flameplane.local import applyset, changes, prune
from flameplane.local.changes import Changes
from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.objects import ADMISSION, CLUSTER, CONFIGURATION, NAMESPACE, WORKLOAD, Key, in_order, key, rank
from flameplane.local.refusal import refusal
from flameplane.local.steps import Say

# Seconds until the API server enforces a new or changed admission policy (one or two were measured).
POLICY_DELAY = 2.0
AT_ONCE = 4  # kubectl processes; each takes half a second of CPU


class Apply:
    """One apply of `desired`. `prepare` makes the namespaces, `carry_out` the rest; in between secrets can be made."""

    def __init__(self, kubectl: Kubectl, desired: Sequence[Object], *, yes_prune: bool, force: bool, say: Say) -> None:
        self.kubectl, self.force, self.say = kubectl, force, say
        self.desired = in_order(desired)
        self.yes_prune = yes_prune

    def prepare(self) -> Changes:
        """Check all that can be checked. Only namespaces are made: without them nothing in them can be tried."""
        kubectl = self.kubectl
        parents = applyset.parents(kubectl)
        members = applyset.members(kubectl, parents)
        if self._await_deletions(members):
            members = applyset.members(kubectl, parents)
        self.members = members
        removed = prune.guard(self.desired, members, self.yes_prune)
        changes.refuse_foreign(kubectl, self.desired, members)
        applyset.cover(kubectl, parents, {key(item) for item in self.desired})

        absent = [item for item in self.desired if item["kind"] == "Namespace" and key(item) not in members]
        if absent:
            self._apply_some(absent)
        after = changes.dry_run(kubectl, self.desired, self.force)
        self.changes = changes.compare(after, members, removed)
        return self.changes

    def carry_out(self) -> None:
        """Apply the sets in which something differs: what has no namespace first, the admission policies among it."""
        touched = {*self.changes.created, *self.changes.changed, *self.changes.removed}
        names = sorted({applyset.set_of(k) for k in touched} - {applyset.CLUSTER_SET})
        if any(not k.namespace for k in touched):
            self._apply_set(applyset.CLUSTER_SET)
        if names and any(k.kind in ADMISSION for k in touched):
            time.sleep(POLICY_DELAY)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(self._apply_set, names):
                pass  # raises what a set raised

    def _apply_set(self, name: str) -> None:
        """kubectl applies one set and prunes it. It takes no empty one: that is removed by us."""
        mine = [item for item in self.desired if applyset.set_of(key(item)) == name]
        if not mine:
            gone = [self.members[k] for k in self.changes.removed if applyset.set_of(k) == name]
            parent = {"apiVersion": f"{applyset.GROUP}/v1", "kind": applyset.KIND, "metadata": {"name": name}}
            arguments = ("delete", "--ignore-not-found", "--wait=false")
            self.kubectl.run(*arguments, objects=[*gone, parent], doing=f"remove the ApplySet {name}")
            return
        applied = [*changes.apply_arguments(self.force), "--prune", f"--applyset={applyset.TYPE}/{name}"]
        result = self.kubectl.call(*applied, objects=mine)
        if not result.ok:
            raise refusal([("", result.err)])

    def _apply_some(self, some: Sequence[Object]) -> None:
        result = self.kubectl.call(
            *changes.apply_arguments(self.force), objects=[applyset.labelled(item) for item in some]
        )
        if not result.ok:
            raise refusal([("", result.err)])

    def _await_deletions(self, members: dict[Key, Object]) -> bool:
        """Objects that an earlier run is still deleting cannot be applied: wait until they are gone. Were there any?"""
        going = [item for item in members.values() if "deletionTimestamp" in item["metadata"]]
        if going:
            self.say(f"waiting until {len(going)} objects that are being deleted are gone")
            arguments = ("wait", "--for=delete", "--timeout=120s")
            self.kubectl.run(*arguments, objects=going, doing="wait for the deletion of earlier objects")
        return bool(going)


def remove(kubectl: Kubectl, say: Say) -> int:
    """Delete the members of the ApplySets and these themselves, workloads first; returns how many there were."""
    parents = applyset.parents(kubectl)
    if not parents:
        return 0
    members = applyset.members(kubectl, parents)
    by_rank = {level: [item for k, item in members.items() if rank(k) == level] for level in range(WORKLOAD + 1)}
    for level in (WORKLOAD, CONFIGURATION, CLUSTER, NAMESPACE):
        if some := by_rank[level]:
            say(f"removing {len(some)} objects")
            # A volume goes after its claim, which a StatefulSet made and which goes with its namespace: no wait here.
            arguments = ("delete", "--ignore-not-found", f"--wait={str(level != CLUSTER).lower()}", "--timeout=300s")
            kubectl.run(*arguments, objects=some, doing="remove the platform's objects", timeout=330)
    if some := by_rank[CLUSTER]:
        kubectl.run("wait", "--for=delete", "--timeout=120s", objects=some, doing="wait until everything is gone")
    kubectl.run("delete", "--ignore-not-found", objects=[applyset.CRD], doing="remove the ApplySet type")
    return len(members)
