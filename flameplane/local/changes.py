"""What an apply would do, found out by the API server itself: every object is sent as a strict dry run first.

So a typo, a refused value or a conflict in the last object is found before the first one is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flameplane.local import applyset
from flameplane.local.kubectl import Kubectl, Object, Result, items
from flameplane.local.objects import Key, key, listing
from flameplane.local.problem import Problem
from flameplane.local.refusal import culprits, refusal

FIELD_MANAGER = "flameplane"


@dataclass(frozen=True)
class Changes:
    """What differs between the program and the API server."""

    created: tuple[Key, ...]
    changed: tuple[Key, ...]
    unchanged: tuple[Key, ...]
    removed: tuple[Key, ...]

    def __str__(self) -> str:
        parts = {"created": self.created, "changed": self.changed, "unchanged": self.unchanged, "removed": self.removed}
        return ", ".join(f"{len(keys)} {name}" for name, keys in parts.items())


def refuse_foreign(kubectl: Kubectl, desired: Sequence[Object], members: Mapping[Key, Object]) -> None:
    """Stop when an object to be made exists and is not ours: it would be taken over, and removed by `down`."""
    new = [item for item in desired if key(item) not in members]
    if not new:
        return
    result = kubectl.call("get", "--ignore-not-found", "--output=json", objects=new)
    if not result.ok:
        raise refusal([("", result.err)])
    foreign = [key(item) for item in items(result.out)]
    if foreign:
        raise Problem(
            "LOC005",
            f"{len(foreign)} objects of these names exist already and were not made by `flameplane local up`:",
            "remove them, or use another cluster; if `pulumi up` made them, go on with pulumi",
            listing(foreign),
        )


def dry_run(kubectl: Kubectl, desired: Sequence[Object], force: bool) -> dict[Key, Object]:
    """The objects as they would stand after an apply. Nothing is written; anything refused stops here."""

    def send(some: Sequence[Object]) -> Result:
        arguments = [*apply_arguments(force), "--dry-run=server", "--output=json"]
        return kubectl.call(*arguments, objects=[applyset.labelled(item) for item in some])

    result = send(desired)
    if not result.ok:
        raise refusal(culprits(desired, send) or [("", result.err)])
    return {key(item): item for item in items(result.out)}


def apply_arguments(force: bool) -> list[str]:
    """How every apply is sent: unknown or doubled fields are errors, fields of others are left to them."""
    arguments = ["apply", "--server-side", "--validate=strict", f"--field-manager={FIELD_MANAGER}"]
    return [*arguments, "--force-conflicts"] if force else arguments


def compare(after: Mapping[Key, Object], members: Mapping[Key, Object], removed: tuple[Key, ...]) -> Changes:
    """Sort objects by what the dry run would do to them."""
    created, changed, unchanged = [], [], []
    for k, item in after.items():
        if k not in members:
            created.append(k)
        elif _content(item) == _content(members[k]):
            unchanged.append(k)
        else:
            changed.append(k)
    return Changes(tuple(created), tuple(changed), tuple(unchanged), removed)


def _content(item: Object) -> dict[str, Any]:
    """An object without what every write changes."""
    metadata = {
        k: v for k, v in item["metadata"].items() if k not in ("managedFields", "resourceVersion", "generation")
    }
    return {**{k: v for k, v in item.items() if k != "status"}, "metadata": metadata}
