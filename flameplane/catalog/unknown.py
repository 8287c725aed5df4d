"""Keys that the model does not have: what was meant, and how to go on reading as if it stood there."""

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flameplane.catalog import shape
from flameplane.catalog.report import Report
from flameplane.catalog.suggest import closest
from flameplane.catalog.tree import Node, Path, changed
from schemas.service import Service

_RETENTION = ("retention", "retentionDays", "retentionPeriod", "fineDays", "downsampledDays")


def key(model: type[BaseModel], path: Path, root: Node, report: Report, only: str | None) -> tuple[Node, bool]:
    """Report the unknown key at ``path``; the tree with it read as what was meant, or left out, and whether it is
    clear that it stands for no other key of its map."""
    name = str(path[-1])
    node = root.nearest(path)
    at = node.key or node.at
    owner = root.nearest(path[:-1])
    annotation = shape.follow(model, path[:-1])
    valid = _keys(annotation, owner)
    elsewhere = [p for p in _paths(model, name) if p != path]
    guess = closest(name, valid)
    target: Path | None = None
    where = f" of {report.show(path[:-1])}" if len(path) > 1 else ""
    message, number, fix, clear = f"unknown key {name}{where}", "020", "", True
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
    else:
        clear = False
        if missing := [k for k in valid if (info := shape.info_at(model, (*path[:-1], k))) and _lacks(owner, k, info)]:
            fix = f"Did you mean {' or '.join(missing)}? {'It is' if len(missing) == 1 else 'They are'} missing."
    if only in (None, at.file) and not node.lost:
        report.add(number, message, at, valid=valid, fix=fix)
    root = changed(root, path, None)
    there = root.find(target) if target else None
    if target and (there is None or there.at.file != at.file):  # absent, or only inherited
        root = changed(root, target, node)
    return root, clear


def strangers(model: type[BaseModel], path: Path, root: Node) -> list[Path]:
    """Keys of a union's map that none of its members has: pydantic does not look at them while the tag is missing."""
    members, owner = shape.models(shape.follow(model, path)), root.find(path)
    known = {k for m in members for k in shape.fields(m)}
    return [(*path, k) for k in owner.value if k not in known] if owner and isinstance(owner.value, dict) else []


def _lacks(owner: Node, name: str, info: FieldInfo) -> bool:
    return info.is_required() and owner.child(name) is None


def _keys(annotation: object, owner: Node) -> tuple[str, ...]:
    """The keys that are valid in ``owner``; in a union those of the member that its tag selects, else of all."""
    members = shape.models(annotation)
    if not members:
        return ()
    name = owner.child(shape.tag_key(members[0]) or "name")
    chosen = [m for m in members if name and shape.tag(m) == name.value] or members
    return tuple(dict.fromkeys(k for m in chosen for k in shape.fields(m)))


def _paths(model: type[BaseModel], name: str, below: Path = ()) -> list[Path]:
    """Every path of the model that ends in the key ``name``."""
    found: list[Path] = []
    for key_, info in shape.fields(model).items():
        if key_ == name:
            found.append((*below, key_))
        for member in shape.models(shape.bare(info.annotation)):
            found += _paths(member, name, (*below, key_))
    return found
