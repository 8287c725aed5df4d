"""Values that stand in for wrong ones, so that one run tells every mistake.

pydantic compares fields with each other only once each of them is right by itself, and the fields of an outer model
only once the inner ones agree. So what is wrong is told, then replaced by its default or its example, and the models
are asked again; what a stand-in takes part in is never told.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from flameplane.catalog import shape
from flameplane.catalog.tree import Node, Path, changed, graft

Hints = Mapping[Path, Any]


def covered(path: Path, guessed: Iterable[Path]) -> bool:
    """Whether the value at ``path`` is a stand-in or lies in one."""
    return any(path[: len(g)] == g for g in guessed)


def hidden(root: Node, path: Path, unsure: Iterable[Path]) -> bool:
    """Whether the value at ``path`` is absent, but may have been meant by a key that nobody understands."""
    there = next(path[:length] for length in range(len(path), -1, -1) if root.find(path[:length]))
    return there != path and there in unsure


def put(
    model: type[BaseModel], root: Node, wrong: list[Path], within: Path, *, guessed: list[Path], hints: Hints
) -> Node:
    """The tree with stand-ins at the paths ``wrong``, which ``guessed`` remembers.

    A path that holds a stand-in already could not be mended there: then what is around it is replaced, first the model
    at ``within``. The whole file never is. What a hint knows is no guess.
    """
    for path in wrong:
        target = within if covered(path, guessed) else path
        while target and (covered(target, guessed) or _is_entry(model, target)):
            target = target[:-1]
        if target:
            root = _replaced(model, root, target, hints)
            if target not in hints:
                guessed.append(target)
    return root


def whole(model: type[BaseModel], path: Path) -> Path:
    """What hangs on the value at ``path``: of the tag of a union, all of its map, which has other keys then."""
    members = shape.models(shape.follow(model, path[:-1]))
    return path[:-1] if len(members) > 1 and path[-1] == shape.tag_key(members[0]) else path


def _is_entry(model: type[BaseModel], path: Path) -> bool:
    """Whether ``path`` leads to an entry of a map with free keys; such a map is replaced whole."""
    return isinstance(path[-1], str) and not shape.models(shape.follow(model, path[:-1]))


def _replaced(model: type[BaseModel], root: Node, path: Path, hints: Hints) -> Node:
    known, value = _value(model, path)
    if path in hints:
        known, value = True, hints[path]
    return changed(root, path, graft(value, None, root.nearest(path).where) if known else None)


def _value(model: type[BaseModel], path: Path) -> tuple[bool, Any]:
    """An example of a value that has to be there; (False, None) where the default will do.

    What has no default was meant to be something: rules about its absence are not broken.
    """
    if info := shape.info_at(model, path):
        example = shape.example(info)
        return info.is_required() or (info.get_default() is None and example is not None), example
    if isinstance(path[-1], int) and len(path) > 1:  # an entry of a list: its first example, so that others keep places
        _, entries = _value(model, path[:-1])
        return (True, entries[0]) if isinstance(entries, list) and entries else (False, None)
    return False, None
