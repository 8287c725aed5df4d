"""Comparing a document with the one that was reviewed: whatever is missing, extra or different is one `Difference`.

What was reviewed is plain data. A value stands for itself; where settings or services/ decide, one of the forms below
stands for what may be there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.objects import whole
from schemas.reviewed.forms import ANY, Maybe, OneOf, Range, Text, Unordered, quantity

_SHOWN: Final = 160  # characters of a value that a message shows


@dataclass(frozen=True)
class Difference:
    """One place where the documents differ. ``found`` and ``wanted`` are as a message shows them, empty for nothing."""

    path: str
    found: str
    wanted: str

    def __str__(self) -> str:
        if not self.wanted:
            return f"has {self.path} {self.found}, which was not reviewed"
        if not self.found:
            return f"has no {self.path}; it must be {self.wanted}"
        return f"has {self.path} {self.found}; it must be {self.wanted}"


def differences(found: Any, wanted: Any, path: str = "") -> Iterator[Difference]:
    """Where ``found``, which may be a proxy, is not what was reviewed."""
    if isinstance(wanted, Maybe):
        if found is not None:
            yield from differences(found, wanted.value, path)
    elif isinstance(wanted, Mapping):
        yield from _maps(found, wanted, path)
    elif isinstance(wanted, Unordered):
        yield from _sets(found, wanted, path)
    elif isinstance(wanted, Sequence) and not isinstance(wanted, str):
        yield from _lists(found, wanted, path)
    elif found is None and wanted is not None:
        yield Difference(path, "", shown(wanted))
    elif not _is(found, wanted):
        yield from _apart(found, wanted, path)


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{k}: {shown(v)}" for k, v in sorted(value.items())) + "}"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        text = "[" + ", ".join(shown(v) for v in value) + "]"
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = str(whole(value)) if value is not None else "nothing"
    return f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text or "''"


def _maps(found: Any, wanted: Mapping[str, Any], path: str) -> Iterator[Difference]:
    if not isinstance(found, Mapping):
        if found is not None:
            yield Difference(path, shown(found), shown(wanted))
        elif not all(isinstance(v, Maybe) for v in wanted.values()):
            yield Difference(path, "", shown({k: v for k, v in wanted.items() if not isinstance(v, Maybe)}))
        return
    for key, value in wanted.items():
        yield from differences(found.get(key), value, _below(path, key))
    for key in sorted(found.keys() - wanted.keys()):
        if found[key] is not None:
            yield Difference(_below(path, key), shown(found[key]), "")


def _lists(found: Any, wanted: Sequence[Any], path: str) -> Iterator[Difference]:
    entries = [] if found is None else found
    if isinstance(entries, str | Mapping) or not isinstance(entries, Sequence):
        yield Difference(path, shown(found), shown(wanted))
    elif wanted and all(isinstance(w, Mapping) and "name" in w for w in map(_entry, wanted)):
        yield from _named(entries, wanted, path)
    else:
        for index in range(max(len(entries), len(wanted))):
            here = f"{path}[{index}]"
            if index >= len(wanted):
                yield Difference(here, shown(entries[index]), "")
            elif index >= len(entries):
                yield Difference(here, "", shown(wanted[index]))
            else:
                yield from differences(entries[index], wanted[index], here)


def _named(entries: Sequence[Any], wanted: Sequence[Any], path: str) -> Iterator[Difference]:
    """Lists whose entries have names: environment, ports, volumes. Their order says nothing."""
    left = {str(_entry(w)["name"]): w for w in wanted}
    for entry in entries:
        name = str(entry.get("name")) if isinstance(entry, Mapping) else shown(entry)
        if (reviewed := left.pop(name, None)) is None:
            yield Difference(f"{path}[{name}]", shown(entry), "")
        else:
            yield from differences(entry, reviewed, f"{path}[{name}]")
    for name, reviewed in left.items():
        if not isinstance(reviewed, Maybe):
            yield Difference(f"{path}[{name}]", "", shown(reviewed))


def _entry(wanted: Any) -> Any:
    return wanted.value if isinstance(wanted, Maybe) else wanted


def _sets(found: Any, wanted: Unordered, path: str) -> Iterator[Difference]:
    entries = [] if found is None else list(found)
    for entry in entries:
        if entries.count(entry) > 1 or not any(_same(entry, w) for w in wanted.entries):
            yield Difference(path, shown(entry), "")
    for entry in wanted.entries:
        if not any(_same(e, entry) for e in entries):
            yield Difference(path, "", shown(entry))


def _same(found: Any, wanted: Any) -> bool:
    return next(differences(found, wanted), None) is None


def _is(found: Any, wanted: Any) -> bool:
    """Whether one value is what was reviewed. Numbers may come as doubles."""
    if wanted is ANY:
        return True
    if isinstance(wanted, OneOf):
        return any(_same(found, value) for value in wanted.values)
    if isinstance(wanted, Text):
        return isinstance(found, str) and re.fullmatch(wanted.pattern, found) is not None
    if isinstance(wanted, Range):
        size = quantity(found)
        return size is not None and quantity(wanted.least) <= size <= quantity(wanted.most)  # type: ignore[operator]
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    return bool(whole(found) == wanted)


def _apart(found: Any, wanted: Any, path: str) -> Iterator[Difference]:
    """Two values that differ: of long texts, the place where they begin to."""
    was, is_ = shown(wanted), shown(found)
    if isinstance(found, str) and isinstance(wanted, str) and max(len(found), len(wanted)) > _SHOWN:
        start = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
        start = max(0, (min(len(found), len(wanted)) if start is None else start) - 20)
        was, is_ = f"...{wanted[start : start + 80]}...", f"...{found[start : start + 80]}..."
    yield Difference(path, is_, was)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
