"""YAML as a tree that knows where everything was written, so that any later finding can point at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from flameplane.findings import Location

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Node:
    """A value with its place, the place of the key that holds it, and, of a scalar, the text as it was written.

    What cannot be read as it was meant has its finding from the reader, and what else is wrong there follows from it:
    a ``lost`` value is not what was written; a map that is ``unsure`` lacks keys that could not be read.
    """

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    at: Location
    key: Location | None = None
    text: str = ""
    plain: bool = False  # a scalar without quotes
    lost: bool = False
    unsure: bool = False

    @property
    def where(self) -> Location:
        """What to point at: the characters of a scalar, the key of a map or list."""
        return self.key if self.key and isinstance(self.value, dict | list) else self.at

    def data(self) -> Any:
        """The value as plain Python."""
        match self.value:
            case dict():
                return {k: v.data() for k, v in self.value.items()}
            case list():
                return [v.data() for v in self.value]
            case _:
                return self.value

    def child(self, step: str | int) -> Node | None:
        """The value of a key or at an index, if there is one."""
        if isinstance(self.value, dict) and isinstance(step, str):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def find(self, path: Path) -> Node | None:
        """The node at ``path``, if there is one."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node else None
        return node

    def nearest(self, path: Path) -> Node:
        """The node at ``path``, or its closest ancestor that exists."""
        node = self
        for step in path:
            below = node.child(step)
            if below is None:
                break
            node = below
        return node


def merge(base: Node | None, over: Node | None) -> Node | None:
    """``over`` on top of ``base``: maps merge key by key, everything else, lists too, is replaced."""
    if base is None or over is None:
        return over or base
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(base.value)
    for key, node in over.value.items():
        merged[key] = merge(merged.get(key), node) or node
    return replace(over, value=merged)


def changed(node: Node, path: Path, new: Node | None) -> Node:
    """A copy of the tree in which ``path`` holds ``new``, or nothing; maps on the way are made as needed.

    Entries of a list are replaced, never taken out, so that the others keep their numbers.
    """
    step, rest = path[0], path[1:]
    if isinstance(node.value, list) and isinstance(step, int):
        below = [
            (changed(child, rest, new) if rest else new or child) if i == step else child
            for i, child in enumerate(node.value)
        ]
        return replace(node, value=below)
    if not isinstance(node.value, dict):
        return node
    items = dict(node.value)
    if rest:
        items[str(step)] = changed(items.get(str(step)) or Node({}, node.at, node.key), rest, new)
    elif new is None:
        items.pop(str(step), None)
    else:
        items[str(step)] = new
    return replace(node, value=items)


def graft(data: Any, like: Node | None, nowhere: Location) -> Node:
    """Plain data as a tree, with the places of ``like`` where the two have the same shape."""
    at, key = (like.at, like.key) if like else (nowhere, None)
    if like and like.lost:
        return replace(graft(data, None, at), key=key, lost=True)
    if isinstance(data, dict):
        return Node({str(k): graft(v, like.child(str(k)) if like else None, nowhere) for k, v in data.items()}, at, key)
    if isinstance(data, list):
        return Node([graft(v, like.child(i) if like else None, nowhere) for i, v in enumerate(data)], at, key)
    return Node(data, at, key, text=str(data))


_STEP = re.compile(r"\[(?P<index>\d+)\]|\[\"(?P<quoted>[^\"]*)\"\]|\.?(?P<key>[^.\[\]]+)")


def parse_path(text: str) -> Path:
    """``spec.workload.selector["app.kubernetes.io/name"]``, ``spec.profiling.types[0]`` as steps."""
    return tuple(
        int(m["index"]) if m["index"] else (m["quoted"] if m["key"] is None else m["key"]) for m in _STEP.finditer(text)
    )


def show_path(path: Path) -> str:
    """Steps as text; the reverse of `parse_path`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z0-9_:-]+", step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def lost(node: Node, path: Path = ()) -> Iterator[Path]:
    """Paths of values that are not what was written."""
    if node.lost:
        yield path
    elif isinstance(node.value, dict | list):
        for step, below in node.value.items() if isinstance(node.value, dict) else enumerate(node.value):
            yield from lost(below, (*path, step))


def unsure(node: Node, path: Path = ()) -> Iterator[Path]:
    """Paths of maps that lack keys which could not be read."""
    if node.unsure:
        yield path
    if isinstance(node.value, dict | list):
        for step, below in node.value.items() if isinstance(node.value, dict) else enumerate(node.value):
            yield from unsure(below, (*path, step))


def leaves(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every scalar and every list with its path: the units that inheritance replaces."""
    if isinstance(node.value, dict):
        for key, below in node.value.items():
            yield from leaves(below, (*path, key))
    else:
        yield path, node


def leaves_of(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """As `leaves`, of plain data; an empty map is a value."""
    if isinstance(data, dict) and data:
        for key, below in data.items():
            yield from leaves_of(below, (*path, key))
    else:
        yield path, data
