"""Every effective value of a service: where it came from, and which floors and ceilings hold for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flameplane.catalog.limits import SERVICE, SPEC, TEAM, Limit
from flameplane.catalog.sources import Kind, Sources
from flameplane.catalog.tree import Path, leaves_of, show_path
from flameplane.findings import Location
from schemas.catalog import Catalog
from schemas.service import Service


@dataclass(frozen=True)
class Bound:
    """A floor, a ceiling or a list of what is allowed, in words, and the line that set it; None if it is built in."""

    text: str
    origin: Location | None


@dataclass(frozen=True)
class Effective:
    """One value, the place it was written at, or None for a built-in default, and the organisation's limits on it."""

    path: str
    value: Any
    origin: Location | None
    limits: tuple[Bound, ...] = ()


def explain(service: Service, sources: Sources, catalog: Catalog) -> list[Effective]:
    """The values in the order of the format; lists are one value, since inheritance replaces them whole.

    Then, below ``team.``, what the service shares with its team: retention and the team's budget.
    """
    bounds = _Bounds(catalog, sources)
    document = service.model_dump(mode="json", by_alias=True)
    values = [bounds.effective("service", service.name, path, value, SERVICE) for path, value in leaves_of(document)]
    team = next(team for team in catalog.teams if team.name == service.team)
    shared = team.model_dump(mode="json", by_alias=True, include={"spec": {"retention", "monthly_usd"}})
    values += [bounds.effective("team", team.name, path, value, TEAM) for path, value in leaves_of(shared)]
    return values


class _Bounds:
    """What the organisation allows for a value."""

    def __init__(self, catalog: Catalog, sources: Sources) -> None:
        self.organisation, self.sources = catalog.organisation, sources
        self.limits = catalog.organisation.spec.limits.model_dump(mode="json", by_alias=True)

    def effective(self, kind: Kind, name: str, path: Path, value: Any, limits: Sequence[Limit]) -> Effective:
        shown = show_path(path)
        found = tuple(
            Bound(limit.words(self.limits[limit.key]), self._origin(limit.key))
            for limit in limits
            if (*SPEC, *limit.path) == path and self.limits[limit.key] is not None
        )
        label = shown if kind == "service" else f"{kind}.{shown}"
        return Effective(label, value, self.sources.origin(kind, name, shown), found)

    def _origin(self, key: str) -> Location | None:
        return self.sources.origin("organisation", self.organisation.metadata.name, f"spec.limits.{key}")
