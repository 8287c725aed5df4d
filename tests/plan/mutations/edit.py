"""Changing one place of a manifest without copying the rest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from policies.objects import at, name, namespace
from policies.rule import Manifest

Path = tuple[str | int, ...]
Edit = tuple[str, Manifest | None]


@dataclass(frozen=True)
class Mutation:
    """One change of one object; ``changed`` is None where the object is left out."""

    target: Manifest
    changed: Manifest | None
    what: str

    def __str__(self) -> str:
        return f"{self.target['kind']} {namespace(self.target)}/{name(self.target)}: {self.what}"


def put(value: Any, path: Path, new: Any) -> Any:
    """``value`` with ``new`` at ``path``; maps on the way are made where they are missing."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        return [put(item, rest, new) if i == head else item for i, item in enumerate(value)]
    return {**(value or {}), head: put((value or {}).get(head), rest, new)}


def drop(value: Any, path: Path) -> Any:
    """``value`` without what is at ``path``."""
    head, rest = path[0], path[1:]
    if rest:
        return put(value, (head,), drop(value[head], rest))
    if isinstance(head, int):
        return [item for i, item in enumerate(value) if i != head]
    return {k: v for k, v in value.items() if k != head}


def get(value: Any, path: Path) -> Any:
    """The value at ``path``, None where it ends early."""
    for step in path:
        value = value[step] if isinstance(step, int) else at(value, step)
    return value


def shown(path: Path) -> str:
    """``spec.containers[0].image``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def removed(manifest: Manifest, path: Path) -> Iterator[Edit]:
    """Leave it out, if it is there."""
    if get(manifest, path) is not None:
        yield f"{shown(path)} removed", drop(manifest, path)


def replaced(manifest: Manifest, path: Path, *values: Any) -> Iterator[Edit]:
    """Each other value, once."""
    for value in values:
        if get(manifest, path) != value:
            yield f"{shown(path)} = {value!r}", put(manifest, path, value)


def appended(manifest: Manifest, path: Path, *values: Any) -> Iterator[Edit]:
    """One more entry in a list."""
    for value in values:
        yield f"{shown(path)} + {value!r}", put(manifest, path, [*(get(manifest, path) or []), value])


def each(manifest: Manifest, path: Path) -> Iterator[Path]:
    """The paths of a list's entries."""
    for index in range(len(get(manifest, path) or [])):
        yield (*path, index)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of all leaves and of all maps and lists above them, below ``value``."""
    entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from leaves(inner, (*path, key))


def in_document(manifest: Manifest, key: str, edit: Callable[[Any], Iterator[Edit]]) -> Iterator[Edit]:
    """Edits of a YAML or JSON document inside a ConfigMap."""
    document = yaml.safe_load(manifest["data"][key])
    for what, changed in edit(document):
        yield f"{key}: {what}", put(manifest, ("data", key), yaml.safe_dump(changed))


def mutating(manifest: Manifest, edits: Iterator[Edit]) -> Iterator[Mutation]:
    """Edits as mutations of ``manifest``."""
    for what, changed in edits:
        yield Mutation(manifest, changed, what)
