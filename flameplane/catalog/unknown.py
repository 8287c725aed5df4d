"""Keys that the model does not have: what was meant, and how to go on reading as if it stood there."""

from pydantic import BaseModel

from flameplane.catalog import shape
from flameplane.catalog.report import Report
from flameplane.catalog.suggest import closest
from flameplane.catalog.tree import Node, Path, changed
from schemas.service import Service

_RETENTION = ("retention", "retentionDays", "retentionPeriod", "fineDays", "downsampledDays")


def key(model: type[BaseModel], path: Path, root: Node, report: Report, only: str | None) -> Node:
    """Report the unknown key at ``path``; the tree with it read as what was meant, or left out."""
    name = str(path[-1])
    node = root.nearest(path)
    at = node.key or node.at
    owner = root.nearest(path[:-1])
    _, annotation = shape.resolve(model, path[:-1])
    valid = _keys(annotation, owner)
    elsewhere = [p for p in _paths(model, name) if p != path]
    guess = closest(name, valid)
    target: Path | None = None
    where = f" of {report.show(path[:-1])}" if len(path) > 1 else ""
    message, number, fix = f"unknown key {name}{where}", "020", ""
    if model is Service and name in _RETENTION:
        number, message = "046", f"{name} stands in a service file"
        days = shape.inline(node.data()) if isinstance(node.value, dict) else "{fineDays: 30, downsampledDays: 90}"
        fix = f"Delete it here and set it in the team's _team.yaml:\nspec:\n  retention: {days}"
        valid = ()
    elif others := [t for m in shape.models(annotation) if name in shape.fields(m) and (t := shape.tag(m))]:
        message += f": there is one for {', '.join(others)} only"
        fix = "Delete the key."
    elif len(elsewhere) == 1:
        target = elsewhere[0]
        message += f"; it belongs to {report.show(target[:-1])}"
        fix = "Move it:\n" + report.snippet(target, node.data())
    elif guess:
        target = (*path[:-1], guess)
        fix = f"Did you mean {guess}?"
    if only in (None, at.file):
        report.add(number, message, at, valid=valid, fix=fix)
    root = changed(root, path, None)
    there = root.find(target) if target else None
    if target and (there is None or there.at.file != at.file):  # absent, or only inherited
        root = changed(root, target, node)
    return root


def _keys(annotation: object, owner: Node) -> tuple[str, ...]:
    """The keys that are valid in ``owner``; in a union those of the member that its tag selects."""
    members = shape.models(annotation)
    if not members:
        return ()
    name = owner.child(shape.tag_key(members[0]) or "name")
    chosen = next((m for m in members if name and shape.tag(m) == name.value), members[0])
    return tuple(shape.fields(chosen))


def _paths(model: type[BaseModel], name: str, below: Path = ()) -> list[Path]:
    """Every path of the model that ends in the key ``name``."""
    found: list[Path] = []
    for key_, info in shape.fields(model).items():
        if key_ == name:
            found.append((*below, key_))
        for member in shape.models(shape.bare(info.annotation)):
            found += _paths(member, name, (*below, key_))
    return found
