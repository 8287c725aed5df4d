"""What changed in the declared files, as values and not as lines: inheritance is applied on both sides."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from flameplane.catalog import Loaded, Sources
from flameplane.catalog.sources import Kind
from flameplane.catalog.tree import show_path
from flameplane.findings import Location
from flameplane.review.fields import ABSENT, GETS, LOSES, FieldChange, compare
from schemas.catalog import Catalog
from schemas.settings import Settings

NEW, GONE = "new", "removed"
_Documents = dict[tuple[Kind, str], tuple[str, dict[str, Any]]]  # team and effective document, by kind and name


@dataclass(frozen=True)
class Declared:
    """One value. ``team`` is whose it is (empty: the platform's); ``field`` is None for a whole declaration.

    ``reaches`` names the services whose effective value changes where the value itself is a default; ``where`` is the
    line in the newer files, None for what is gone from them.
    """

    kind: Kind
    name: str
    team: str
    field: FieldChange | None
    where: Location | None
    reaches: tuple[str, ...] = ()
    state: str = ""  # NEW or GONE, of a whole declaration
    was: str = ""  # the name that a new service had before, if it is an old one with another

    @property
    def words(self) -> str:
        """``checkout: sampleRateHz 19 -> 99``."""
        if self.was:
            return f"{self.kind} {self.name} renamed, was {self.was}"
        if self.field is None:
            return f"{self.kind} {self.name} {self.state}"
        text = f"{self.name}: {_short(self.field).words()}"
        if self.reaches:
            count = len(self.reaches)
            text += f" (reaches {count} service{'' if count == 1 else 's'}: {_names(self.reaches)})"
        return text


def declared_changes(before: Loaded, after: Loaded) -> list[Declared]:
    """Organisation, then teams, then services; a changed default is told once, with the services that it reaches."""
    if before.catalog is None or after.catalog is None:
        return []
    old, new = _documents(before.catalog), _documents(after.catalog)
    found: list[Declared] = []
    renamed = _renamed(old, new)
    for name, was in renamed.items():
        team, document = new["service", name]
        found.append(
            Declared("service", name, team, None, after.sources.locate("service", name, "metadata.name"), was=was)
        )
        found += _fields(
            ("service", name, team), _without_name(old.pop(("service", was))[1]), _without_name(document), after.sources
        )
        del new["service", name]
    for kind, name in sorted(old.keys() | new.keys(), key=lambda k: (_ORDER.index(k[0]), k[1])):
        one, two = old.get((kind, name)), new.get((kind, name))
        team = (two or one or ("", {}))[0]
        if one is None or two is None:
            state, where = (NEW, after.sources.locate(kind, name, "metadata.name")) if two else (GONE, None)
            found.append(Declared(kind, name, team, None, where, state=state))
        else:
            found += _fields((kind, name, team), one[1], two[1], after.sources)
    return _told_once(found)


def _renamed(old: _Documents, new: _Documents) -> dict[str, str]:
    """New services that are old ones with another name: the same pods. A name that two could have had is nobody's."""
    gone = {key: document for key, (_, document) in old.items() if key[0] == "service" and key not in new}
    came = {key: document for key, (_, document) in new.items() if key[0] == "service" and key not in old}
    found: dict[str, str] = {}
    for (_, name), document in came.items():
        same = [was for (_, was), before in gone.items() if _pods(before) == _pods(document)]
        if len(same) == 1 and sum(_pods(other) == _pods(document) for other in came.values()) == 1:
            found[name] = same[0]
    return found


def _pods(document: Mapping[str, Any]) -> Any:
    return document["spec"]["workload"]


def _without_name(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "metadata": {k: v for k, v in document["metadata"].items() if k != "name"}}


def settings_changes(before: Settings | None, after: Settings | None, stack: str, sources: Sources) -> list[Declared]:
    """Values of stacks/Pulumi.<stack>.yaml."""
    if before is None or after is None:
        return []
    one, two = before.model_dump(mode="json", by_alias=True), after.model_dump(mode="json", by_alias=True)
    return list(_fields(("settings", stack, ""), one, two, sources))


@dataclass(frozen=True)
class ImageChange:
    """An entry of images.lock; digests, or None while it is open. ``before`` is ABSENT for a new entry."""

    name: str
    before: Any
    after: Any

    @property
    def words(self) -> str:
        """``gateway open -> sha256:1f2e3d4c5b6a``."""
        if self.before is ABSENT or self.after is ABSENT:
            return f"{self.name} {NEW if self.before is ABSENT else GONE}"
        return f"{self.name} {_digest(self.before)} -> {_digest(self.after)}"


def image_changes(before: Path, after: Path) -> list[ImageChange]:
    """Entries of images.lock of two project folders that differ."""
    old, new = _lock(before), _lock(after)
    names = sorted(old.keys() | new.keys())
    changes = [ImageChange(name, old.get(name, ABSENT), new.get(name, ABSENT)) for name in names]
    return [c for c in changes if c.before != c.after]


_ORDER: tuple[Kind, ...] = ("organisation", "team", "service")


def _documents(catalog: Catalog) -> _Documents:
    """Effective documents with the team they belong to."""
    organisation = catalog.organisation
    found: _Documents = {
        ("organisation", organisation.metadata.name): ("", organisation.model_dump(mode="json", by_alias=True))
    }
    for team in catalog.teams:
        found["team", team.name] = (team.name, team.model_dump(mode="json", by_alias=True))
    for service in catalog.services:
        found["service", service.name] = (service.team, service.model_dump(mode="json", by_alias=True))
    return found


def _fields(subject: tuple[Kind, str, str], before: Any, after: Any, sources: Sources) -> Iterator[Declared]:
    """One change per value that differs; ``subject`` is kind, name and team."""
    kind, name, team = subject
    for change in compare(before, after):
        steps = tuple(step for step in change.path if step not in (GETS, LOSES))
        yield Declared(kind, name, team, change, sources.locate(kind, name, show_path(steps)))


def _told_once(found: list[Declared]) -> list[Declared]:
    """Changes of services that come from a file above them become what the default's own change reaches."""
    result: list[Declared] = []
    inherited: list[Declared] = []
    for item in found:
        own = item.kind != "service" or item.where is None or item.where.file.endswith("/service.yaml")
        (result if own else inherited).append(item)

    def place(item: Declared) -> tuple[str, int, str]:
        assert item.where and item.field
        return item.where.file, item.where.line, item.field.field

    reached = {key[:2]: tuple(i.name for i in items) for key, items in groupby(sorted(inherited, key=place), key=place)}
    merged = [_reaching(item, reached) for item in result]
    told = {(i.where.file, i.where.line) for i in merged if i.where and i.reaches}
    # What an inherited change has no line of its own for in a team's or the organisation's document stays itself.
    rest = [i for i in inherited if i.where and (i.where.file, i.where.line) not in told]
    return [*merged, *rest]


def _reaching(item: Declared, reached: dict[tuple[str, int], tuple[str, ...]]) -> Declared:
    if item.kind == "service" or item.where is None:
        return item
    names = reached.get((item.where.file, item.where.line), ())
    return Declared(item.kind, item.name, item.team, item.field, item.where, names)


def _short(change: FieldChange) -> FieldChange:
    """The field without the parts of its path that every reader knows."""
    path = change.path
    while len(path) > 1 and path[0] in ("spec", "metadata", "profiling"):
        path = path[1:]
    return FieldChange(path, change.before, change.after)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _lock(root: Path) -> dict[str, Any]:
    """Digest, or None, by name; nothing where the file cannot be read, which is a finding elsewhere."""
    try:
        images = json.loads((root / "images.lock").read_text(encoding="utf-8"))["images"]
        return {name: image.get("digest") for name, image in images.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


def _digest(digest: str | None) -> str:
    return digest[:19] if digest else "open"
