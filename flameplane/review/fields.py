"""Two values, compared field by field. What configuration files hold is compared inside, not as text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from flameplane.catalog.tree import Path, show_path
from flameplane.plan.values import UNKNOWN, Secret

_SHOWN: Final = 60  # characters of a value
GETS, LOSES = "+", "-"  # the last step of a path to an entry that a list gets or loses
_TEXT: Final = 100_000  # characters of a text that is parsed; dashboards are larger and machine-written


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


@dataclass(frozen=True)
class FieldChange:
    """One field. ``before`` or ``after`` is ``ABSENT`` where there is none."""

    path: Path
    before: Any
    after: Any

    @property
    def field(self) -> str:
        """The path as text; of an entry of a list, that of the list."""
        return show_path(self.path[:-1] if self.path[-1:] in ((GETS,), (LOSES,)) else self.path)

    @property
    def state(self) -> str:
        """What happens to the field, or to the list."""
        if self.path[-1:] == (GETS,):
            return "gets"
        if self.path[-1:] == (LOSES,):
            return "loses"
        return "added:" if self.before is ABSENT else "removed, was" if self.after is ABSENT else "changed"

    def words(self) -> str:
        """``sampleRateHz 19 -> 99``."""
        if self.before is ABSENT or self.after is ABSENT:
            return f"{self.field} {self.state} {shown(self.after if self.before is ABSENT else self.before)}"
        return f"{self.field} {shown(self.before)} -> {shown(self.after)}"


def shown(value: Any) -> str:
    """A value as people read it, on one line and not longer than a line has room for; never a secret."""
    if isinstance(value, Secret):
        return "(secret)"
    if value is UNKNOWN:
        return "(known after apply)"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (Mapping, list, tuple)):
        value = _canonical(value)
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def compare(before: Any, after: Any, path: Path = ()) -> Iterator[FieldChange]:
    """Every field that differs, in the order of the newer value."""
    before, after = _opened(before, after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(k for k in before if k not in after)]:
            yield from compare(before.get(key, ABSENT), after.get(key, ABSENT), (*path, str(key)))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, path)
    elif not _same(before, after):
        yield FieldChange(path, before, after)


def _lists(before: list[Any], after: list[Any], path: Path) -> Iterator[FieldChange]:
    """Lists of named things by name; others by what went and what came, since positions say nothing."""
    if (key := _key(before, after)) is not None:
        old, new = ({item[key]: item for item in items} for items in (before, after))
        yield from compare(old, new, path)
        return
    kept = [_canonical(item) for item in after]
    gone = [item for item in before if not _take(kept, item)]
    kept = [_canonical(item) for item in before]
    come = [item for item in after if not _take(kept, item)]
    if len(gone) == len(come) == 1 and len(before) == len(after):
        yield from compare(gone[0], come[0], (*path, after.index(come[0])))
        return
    yield from (FieldChange((*path, LOSES), item, ABSENT) for item in gone)
    yield from (FieldChange((*path, GETS), ABSENT, item) for item in come)


def _take(kept: list[str], item: Any) -> bool:
    text = _canonical(item)
    if text in kept:
        kept.remove(text)
        return True
    return False


def _key(before: Sequence[Any], after: Sequence[Any]) -> str | None:
    """The key that names every item of both lists, each name once."""
    items = [*before, *after]
    for key in ("name", "alert", "service"):
        if items and all(isinstance(i, Mapping) and isinstance(i.get(key), str) for i in items):
            names = [[i[key] for i in side] for side in (before, after)]
            if all(len(set(side)) == len(side) for side in names):
                return key
    return None


def _opened(before: Any, after: Any) -> tuple[Any, Any]:
    """Two texts that are YAML or JSON maps, read; anything else as it is."""
    if isinstance(before, str) and isinstance(after, str) and before != after:
        old, new = _document(before), _document(after)
        if old is not None and new is not None:
            return old, new
    return before, after


def _document(text: str) -> Mapping[str, Any] | None:
    if len(text) > _TEXT or ("\n" not in text and not text.startswith("{")):
        return None
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return None
    return found if isinstance(found, Mapping) else None


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Secret) and isinstance(after, Secret):
        return bool(before.value == after.value)
    return type(before) is type(after) and bool(before == after)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=shown)
