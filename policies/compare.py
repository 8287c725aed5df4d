"""Comparing a document with the one that was reviewed: every entry that is missing, extra or different, by its path.

What is wanted is plain data; a form (schemas/reviewed/forms.py) stands for values that are not one alone. Entries of a
list are compared by what they are called, where they have a name, and else in their order. Each difference comes with
the document as it would be without it: so other rules can be asked what they would say then (policies/backstop.py).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from operator import eq
from typing import Any, Final, NamedTuple

from policies.objects import whole
from schemas.reviewed.forms import NOTHING, Each, Form, Maybe, example

# What an entry of a list is called by; the first that all entries have, and that differs, counts.
_NAMES: Final = (
    *(("tenant",), ("account",), ("service",), ("uid",), ("alert",), ("name",), ("targetUID",)),
    ("record", "labels"),
)
_MOST: Final = 12  # a document of which more is wrong is another document
_LENGTH: Final = 120  # of a value in a message


@dataclass(frozen=True)
class Difference:
    """One place where documents differ. ``how``: the end of a sentence that begins with an object's name.
    ``mended``: what was found with this one place put right and all others as they are."""

    path: str
    how: str
    mended: Any

    def __str__(self) -> str:
        return self.how


def differences(found: Any, wanted: Any, path: str = "") -> Iterator[Difference]:
    """Where ``found``, which may be a proxy, is not what was reviewed."""
    for count, difference in enumerate(_differences(found, wanted, path)):
        if count == _MOST:
            yield Difference(path, "differs in more than these from what was reviewed", example(wanted))
            return
        yield difference


def lines(found: Sequence[str], wanted: Sequence[str], where: str) -> Iterator[Difference]:
    """Differences of two texts, line by line."""
    if _another(found, wanted, eq):
        yield Difference(where, f"lacks {shown(', '.join(w for w in wanted if w not in found))} in {where}", wanted)
        return
    for i, last_wanted, j, last in _changes(wanted, found):
        for step in range(max(last_wanted - i, last - j)):
            was, now = wanted[i + step : min(i + step + 1, last_wanted)], found[j + step : min(j + step + 1, last)]
            mended = [*found[: min(j + step, last)], *was, *found[min(j + step + 1, last) :]]
            for line in was:
                yield Difference(where, f"lacks `{line}` in {where}", mended)
            for line in now:
                yield Difference(where, f"has `{line}` in {where}, which was never reviewed; leave it out", mended)


def present(value: Any) -> Any:
    """A part of a Kubernetes object as plain data; there, null says nothing."""
    if isinstance(value, Mapping):
        return {str(key): present(below) for key, below in value.items() if below is not None}
    return [present(below) for below in value] if _is_list(value) else whole(value)


def shown(value: Any) -> str:
    """A value as messages show it."""
    text = value if isinstance(value, str) and value else str(_plain(value))
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"


def _plain(value: Any) -> Any:
    return (
        value if isinstance(value, Form | Maybe | Each) else json.dumps(_data(value), default=str, ensure_ascii=False)
    )


def _data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _data(below) for key, below in sorted(value.items())}
    return [_data(below) for below in value] if _is_list(value) else whole(value)


def _differences(found: Any, wanted: Any, path: str) -> Iterator[Difference]:
    if isinstance(wanted, Maybe):
        if found is not None:
            yield from _differences(found, wanted.value, path)
    elif isinstance(wanted, Each) and _is_list(found) and found:
        for index, entry in enumerate(found):
            for difference in _differences(entry, wanted.value, f"{path}[{index}]"):
                yield replace(difference, mended=[*found[:index], difference.mended, *found[index + 1 :]])
    elif isinstance(wanted, Mapping) and isinstance(found, Mapping):
        yield from _maps(found, wanted, path)
    elif isinstance(wanted, Mapping) and found is None and all(isinstance(v, Maybe) for v in wanted.values()):
        return
    elif _is_list(wanted) and (_is_list(found) or not (found or wanted)):
        yield from _lists(list(found or ()), wanted, path)
    elif found is None:
        if wanted is not None:
            yield Difference(path, f"lacks {path or 'a document'}; it must be {shown(wanted)}", example(wanted))
    elif wanted is None:
        yield Difference(path, _extra(path, found), NOTHING)
    elif not _is(found, wanted):
        yield Difference(path, _apart(found, wanted, path), example(wanted))


def _is(found: Any, wanted: Any) -> bool:
    """Whether one value is what was reviewed. Numbers may come as doubles."""
    if isinstance(wanted, Form):
        return wanted.fits(whole(found))
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(whole(found) == wanted)


def _apart(found: Any, wanted: Any, path: str) -> str:
    """Two values that differ: of long texts, the place where they begin to."""
    is_, was = shown(found), shown(wanted)
    if isinstance(found, str) and isinstance(wanted, str) and max(len(found), len(wanted)) > _LENGTH:
        start = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
        start = max(0, (min(len(found), len(wanted)) if start is None else start) - 20)
        was, is_ = f"…{wanted[start : start + 80]}…", f"…{found[start : start + 80]}…"
    return f"has {path or 'a document'} {is_}; it must be {was}"


def _extra(path: str, found: Any) -> str:
    return f"has {path} {shown(found)}, which was never reviewed; leave it out"


def _maps(found: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> Iterator[Difference]:
    for key, value in wanted.items():
        for difference in _differences(found.get(key), value, _below(path, key)):
            yield replace(difference, mended=put(found, (key,), difference.mended))
    for key in found:
        if key not in wanted:
            below = _below(path, str(key))
            yield Difference(below, _extra(below, found[key]), put(found, (key,), NOTHING))


def put(value: Mapping[str, Any] | None, steps: Sequence[str], new: Any) -> dict[str, Any]:
    """A copy of a map with another value at a path of keys, or without any."""
    found, (step, *rest) = dict(value or {}), steps
    if rest:
        found[step] = put(found.get(step), rest, new)
    elif new is NOTHING:
        found.pop(step, None)
    else:
        found[step] = new
    return found


class _Pair(NamedTuple):
    """An entry of a list, and the one that it has to be: the former a slice of what was found, empty if missing."""

    called: str
    start: int
    stop: int
    wanted: Any


def _lists(found: list[Any], wanted: Sequence[Any], path: str) -> Iterator[Difference]:
    names = _names([_entry(w) for w in wanted])
    if not names and _another(found, wanted, _fits):
        yield Difference(path, f"has {path} {shown(found)}; it must be {shown(wanted)}", example(wanted))
        return
    for called, start, stop, entry in _by_name(found, wanted, names) if names else _in_order(found, wanted):
        here, below = f"{path}[{called}]", found[start:stop]
        if entry is NOTHING:
            yield Difference(
                here, _extra(here, below[0] if len(below) == 1 else " ".join(below)), [*found[:start], *found[stop:]]
            )
        elif not below and not isinstance(entry, Maybe):
            mended = [*found[:start], example(entry), *found[start:]]
            yield Difference(here, f"lacks {here}; it must be {shown(entry)}", mended)
        elif below:
            for difference in _differences(below[0], entry, here):
                rest = [] if difference.mended is NOTHING else [difference.mended]
                yield replace(difference, mended=[*found[:start], *rest, *found[stop:]])


def _by_name(found: Sequence[Any], wanted: Sequence[Any], names: Sequence[str]) -> Iterator[_Pair]:
    """Entries with names; their order says nothing, and none stands twice."""
    left = {_called(_entry(w), names): w for w in wanted}
    for index, entry in enumerate(found):
        called = _called(entry, names)
        yield _Pair(called, index, index + 1, left.pop(called, NOTHING))
    for called, entry in left.items():
        yield _Pair(called, len(found), len(found), entry)


def _in_order(found: Sequence[Any], wanted: Sequence[Any]) -> Iterator[_Pair]:
    want = [shown(w) for w in wanted]
    have = [next((w for w, of in zip(want, wanted, strict=True) if _fits(f, of)), f"not {shown(f)}") for f in found]
    told = 0  # up to here entries have been told
    for i, last_wanted, j, last in _changes(want, have):
        for step in range(max(last_wanted - i, last - j)):
            entry = wanted[i + step] if i + step < last_wanted else NOTHING
            start, stop = min(j + step, last), min(j + step + 1, last)
            if entry is NOTHING and start < told and _is_value(found, start):
                continue  # of the flag that was told before it; one behind a reviewed flag belongs to nothing
            stop += entry is NOTHING and _is_value(found, stop) and stop < last
            told = stop + _is_value(found, stop)
            yield _Pair(str(start if start < stop else i + step), start, stop, entry)


def _is_value(found: Sequence[Any], index: int) -> bool:
    """Whether an argument is the value of the flag before it."""
    if not 0 < index < len(found):
        return False
    flag, value = found[index - 1], found[index]
    words = isinstance(flag, str) and isinstance(value, str)
    return words and flag.startswith("-") and "=" not in flag and not value.startswith("-")


def _another(found: Sequence[Any], wanted: Sequence[Any], fits: Callable[[Any, Any], bool]) -> bool:
    """Whether a list is another one altogether, which is one difference, and not one in every entry."""
    alike = sum(any(fits(f, w) for f in found) for w in wanted)
    several = len(found) != len(wanted) and bool(found) and max(len(found), len(wanted)) > 1
    return several and (alike * 2 < len(wanted) or not wanted)


def _fits(found: Any, wanted: Any) -> bool:
    return next(_differences(found, wanted, ""), None) is None


def _changes(wanted: Sequence[str], found: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Where two lists differ: from and to in the one, from and to in the other."""
    for how, *where in SequenceMatcher(None, wanted, found, autojunk=False).get_opcodes():
        if how != "equal":
            yield where[0], where[1], where[2], where[3]


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


def _entry(wanted: Any) -> Any:
    return wanted.value if isinstance(wanted, Maybe) else wanted


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)
