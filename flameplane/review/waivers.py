"""What changed in policies/waivers.yaml, entry by entry. What is wrong with an entry the policy pack says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from flameplane.findings import Location
from schemas.waivers import FILE, SOON_DAYS


@dataclass(frozen=True)
class WaiverChange:
    """One entry. ``state``: added, removed, changed, or expiring (as it is, with few days left)."""

    state: str
    rule: str
    target: str
    details: dict[str, str]
    where: Location | None
    expired: str = ""  # the last day that the older state names, of a changed one

    @property
    def words(self) -> str:
        """Rule, target, until when, and who answers for it."""
        d = self.details
        who = f"{d.get('owner', 'nobody')}, approved by {d.get('approver', 'nobody')}"
        return (
            f"{self.rule} at {self.target} until {d.get('expires', 'no day')} ({who}): {d.get('reason', 'no reason')}"
        )


def waiver_changes(before: Path, after: Path, stack: str, today: date) -> list[WaiverChange]:
    """Entries of two project folders that differ, and those that expire soon; of the environment ``stack`` alone."""
    old, new = (dict(_entries(root, stack)) for root in (before, after))
    found = []
    for key, (details, where) in new.items():
        if key not in old:
            found.append(WaiverChange("added", *key, details, where))
        elif old[key][0] != details:
            found.append(WaiverChange("changed", *key, details, where, old[key][0].get("expires", "no day")))
        elif _soon(details.get("expires", ""), today):
            found.append(WaiverChange("expiring", *key, details, where))
    found += [WaiverChange("removed", *key, details, None) for key, (details, _) in old.items() if key not in new]
    return found


def _entries(root: Path, stack: str) -> Iterator[tuple[tuple[str, str], tuple[dict[str, str], Location]]]:
    try:
        text = (root / FILE).read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        listed = (yaml.load(text, Loader=yaml.BaseLoader) or {}).get("waivers")  # noqa: S506 - every scalar is text
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError):
        return
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(entry, dict):
            continue
        environments = entry.get("environments")
        if isinstance(environments, list) and stack not in environments:
            continue
        rule, target = str(entry.pop("rule", "")), str(entry.pop("target", ""))
        yield (rule, target), ({k: str(v) for k, v in entry.items()}, Location(FILE, _line(tree, index), 1))


def _line(tree: Any, index: int) -> int:
    """Line of an entry; the composed tree has the shape of the loaded one."""
    listed = next(value for key, value in tree.value if key.value == "waivers")
    return int(listed.value[index].start_mark.line) + 1


def _soon(expires: str, today: date) -> bool:
    try:
        return (date.fromisoformat(expires) - today).days <= SOON_DAYS
    except ValueError:
        return False
