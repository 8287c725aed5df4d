"""Bring the API server to what the program declares: check everything, then apply in order, then remove the rest."""

import time
from collections.abc import Sequence

from flameplane.local import applyset, changes
from flameplane.local.changes import Changes
from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.objects import ADMISSION, WORKLOAD, Key, in_order, key, rank
from flameplane.local.refusal import refusal
from flameplane.local.steps import Say

# Seconds until the API server enforces a new or changed admission policy (one or two were measured).
POLICY_DELAY = 2.0


class Apply:
    """One apply of `desired`. `prepare` makes the namespaces, `carry_out` the rest; in between secrets can be made."""

    def __init__(self, kubectl: Kubectl, desired: Sequence[Object], *, yes_prune: bool, force: bool, say: Say) -> None:
        self.kubectl, self.force, self.say = kubectl, force, say
        self.desired = in_order(desired)
        self.yes_prune = yes_prune

    def prepare(self) -> Changes:
        """Check all that can be checked. Only namespaces are made: without them nothing in them can be tried."""
        kubectl = self.kubectl
        parent = applyset.parent(kubectl)
        self._await_deletions(applyset.members(kubectl, parent))
        members = applyset.members(kubectl, parent)
        removed = changes.guard_prune(self.desired, members, self.yes_prune)
        changes.refuse_foreign(kubectl, self.desired, members)
        applyset.cover(kubectl, parent, {key(item) for item in self.desired})

        namespaces = [item for item in self.desired if item["kind"] == "Namespace"]
        absent = [item for item in namespaces if key(item) not in members]
        if absent:
            self._apply_some(absent)
        after = changes.dry_run(kubectl, self.desired, self.force)
        self.changes = changes.compare(after, members, removed)
        return self.changes

    def carry_out(self) -> None:
        """Apply. What workloads rely on goes first when it changed; kubectl then applies all and prunes."""
        touched = {*self.changes.created, *self.changes.changed}
        if any(rank(k) == WORKLOAD for k in touched):
            first = [item for item in self.desired if key(item) in touched and rank(key(item)) < WORKLOAD]
            if first:
                self._apply_some(first)
            if any(item["kind"] in ADMISSION for item in first):
                time.sleep(POLICY_DELAY)
        arguments = [*changes.apply_arguments(self.force), "--prune", f"--applyset={applyset.PARENT}"]
        result = self.kubectl.call(*arguments, objects=self.desired)
        if not result.ok:
            raise refusal([("", result.err)])

    def _apply_some(self, some: Sequence[Object]) -> None:
        result = self.kubectl.call(
            *changes.apply_arguments(self.force), objects=[applyset.labelled(item) for item in some]
        )
        if not result.ok:
            raise refusal([("", result.err)])

    def _await_deletions(self, members: dict[Key, Object]) -> None:
        """Objects that an earlier run is still deleting cannot be applied: wait until they are gone."""
        going = [item for item in members.values() if "deletionTimestamp" in item["metadata"]]
        if going:
            self.say(f"waiting until {len(going)} objects that are being deleted are gone")
            arguments = ("wait", "--for=delete", "--timeout=120s")
            self.kubectl.run(*arguments, objects=going, doing="wait for the deletion of earlier objects")


def remove(kubectl: Kubectl, say: Say) -> int:
    """Delete the members of the ApplySet and the ApplySet itself, workloads first; returns how many there were."""
    parent = applyset.parent(kubectl)
    if not parent:
        return 0
    members = applyset.members(kubectl, parent)
    for level in sorted({rank(k) for k in members}, reverse=True):
        some = [item for k, item in members.items() if rank(k) == level]
        say(f"removing {len(some)} objects")
        arguments = ("delete", "--ignore-not-found", "--wait=true", "--timeout=300s")
        kubectl.run(*arguments, objects=some, doing="remove the platform's objects", timeout=330)
    kubectl.run("delete", "--ignore-not-found", objects=[applyset.CRD], doing="remove the ApplySet type")
    return len(members)
