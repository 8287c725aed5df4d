"""Comparing a document with the one that was reviewed: every entry that is missing, extra or different, by its path.

In what is wanted, a ``Form`` stands for values that are not one alone. Entries of a list are compared by what they are
called, where they have a name, and else in their order.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from schemas.reviewed.configuration_forms import Form

# What an entry of a list is called by; the first that all entries have, and that differs, counts.
_NAMES: Final = (
    *(("tenant",), ("account",), ("service",), ("uid",), ("alert",), ("name",), ("targetUID",)),
    ("record", "labels"),
)
_MOST: Final = 12  # a document of which more is wrong is another document
_LENGTH: Final = 120  # of a value in a message


def differences(found: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """What is wrong with ``found``, as ends of sentences that begin with an object's name."""
    for count, how in enumerate(_differences(found, wanted, path)):
        if count == _MOST:
            yield "differs in more than these from what was reviewed"
            return
        yield how


def _differences(found: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, Form):
        if not wanted.fits(found):
            yield f"has {path} {shown(found)}; it must be {wanted.words}"
    elif isinstance(wanted, Mapping) and isinstance(found, Mapping):
        yield from _maps(found, wanted, path)
    elif _is_list(wanted) and _is_list(found):
        yield from _lists(found, wanted, path)
    elif found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
        yield f"has {path or 'a document'} {shown(found)}; it must be {shown(wanted)}"


def _maps(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in wanted.items():
        below = _below(path, key)
        if key in found:
            yield from _differences(found[key], value, below)
        elif not (isinstance(value, Form) and value.optional):
            yield f"lacks {below}; it must be {value.words if isinstance(value, Form) else shown(value)}"
    for key in found:
        if key not in wanted:
            yield f"has {_below(path, str(key))} {shown(found[key])}, which was never reviewed; leave it out"


def _lists(found: Sequence[Any], wanted: Sequence[Any], path: str) -> Iterator[str]:
    names = _names(wanted)
    if not names:
        yield from _in_order(found, wanted, path)
        return
    have: dict[str, list[Any]] = {}
    for entry in found:
        have.setdefault(_called(entry, names), []).append(entry)
    for entry in wanted:
        called = _called(entry, names)
        if called not in have:
            yield f"lacks {path}[{called}]; it must be {shown(entry)}"
            continue
        first, *more = have.pop(called)
        yield from _differences(first, entry, f"{path}[{called}]")
        if more:
            yield f"has {path}[{called}] {len(more) + 1} times"
    for called in have:
        yield f"has {path}[{called}], which was never reviewed; leave it out"


def _in_order(found: Sequence[Any], wanted: Sequence[Any], path: str) -> Iterator[str]:
    if len(found) == len(wanted):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
        return
    have, want = [shown(v) for v in found], [shown(v) for v in wanted]
    yield from lines(have, want, path)


def lines(found: Sequence[str], wanted: Sequence[str], where: str) -> Iterator[str]:
    """Differences of two texts, line by line."""
    for line in difflib.ndiff(list(wanted), list(found)):
        if line.startswith("- "):
            yield f"lacks `{line[2:]}` in {where}"
        elif line.startswith("+ "):
            yield f"has `{line[2:]}` in {where}, which was never reviewed; leave it out"


def _names(entries: Sequence[Any]) -> tuple[str, ...]:
    for names in _NAMES:
        if entries and all(isinstance(e, Mapping) and names[0] in e for e in entries):
            called = [_called(e, names) for e in entries]
            if len(set(called)) == len(called):
                return names
    return ()


def _called(entry: Any, names: Sequence[str]) -> str:
    if not isinstance(entry, Mapping):
        return shown(entry)
    first, *more = (entry.get(name) for name in names)
    return " ".join([str(first), *(shown(value) for value in more if value)])


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)


def shown(value: Any) -> str:
    """A value as messages show it."""
    text = value if isinstance(value, str) and value else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"
