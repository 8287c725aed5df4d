"""The organisation's floors and ceilings, held against effective values: policy, which no merge can override."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from flameplane.catalog.report import Report
from flameplane.catalog.tree import Node, Path, show_path
from flameplane.findings import Location
from schemas.service import Service, ServiceSpec
from schemas.team import Organisation, Team

SPEC: Final = ("spec",)
_WORDS: Final = {"floor": "at least", "ceiling": "at most", "among": "one of"}


@dataclass(frozen=True)
class Limit:
    """One key of ``spec.limits`` and the value below ``spec`` that it limits; a list limits each of its entries."""

    path: Path
    key: str
    kind: Literal["floor", "ceiling", "among"]

    def allows(self, value: Any, bound: Any) -> bool:
        """Whether ``value`` is within ``bound``; an absent bound limits nothing."""
        if bound is None:
            return True
        if self.kind == "among":
            return value in bound
        return bool(value >= bound if self.kind == "floor" else value <= bound)

    def words(self, bound: Any) -> str:
        """The bound as people say it: `at most 99`."""
        return f"{_WORDS[self.kind]} {', '.join(bound) if isinstance(bound, list) else f'{bound:g}'}"


SERVICE: Final = (
    Limit(("profiling", "sampleRateHz"), "minSampleRateHz", "floor"),
    Limit(("profiling", "sampleRateHz"), "maxSampleRateHz", "ceiling"),
    Limit(("profiling", "types"), "types", "among"),
    Limit(("gate", "topN"), "minTopN", "floor"),
    Limit(("gate", "topN"), "maxTopN", "ceiling"),
    Limit(("gate", "windowMinutes"), "minWindowMinutes", "floor"),
    Limit(("gate", "windowMinutes"), "maxWindowMinutes", "ceiling"),
    Limit(("gate", "mode"), "gateModes", "among"),
    Limit(("budget", "monthlyUsd"), "maxMonthlyUsd", "ceiling"),
    Limit(("budget", "storedGb"), "maxStoredGb", "ceiling"),
)
TEAM: Final = (
    Limit(("retention", "fineDays"), "minFineDays", "floor"),
    Limit(("retention", "fineDays"), "maxFineDays", "ceiling"),
    Limit(("retention", "downsampledDays"), "minDownsampledDays", "floor"),
    Limit(("retention", "downsampledDays"), "maxDownsampledDays", "ceiling"),
    Limit(("monthlyUsd",), "maxTeamMonthlyUsd", "ceiling"),
)


class Limiter:
    """Holds effective values against the limits of one organisation."""

    def __init__(
        self, organisation: Organisation, tree: Node, report: Report, knows: Callable[..., bool] = lambda *_: True
    ) -> None:
        self.bounds = organisation.spec.limits.model_dump(mode="json", by_alias=True)
        self.tree, self.report, self.knows = tree, report, knows
        self.broken_by_default = set(self._built_in_defaults())

    def service(self, service: Service, tree: Node, knows: Callable[..., bool] = lambda *_: True) -> None:
        """Every limited value of a service that is known; the finding points at the line that set it."""
        spec = service.spec.model_dump(mode="json", by_alias=True)
        for limit in SERVICE:
            path = (*SPEC, *limit.path)
            if knows(*path) and (limit.key not in self.broken_by_default or tree.find(path)):
                self._hold(limit, path, _at(spec, limit.path), tree)

    def team(self, team: Team, tree: Node, knows: Callable[..., bool] = lambda *_: True) -> None:
        """The team's retention and money."""
        spec = team.spec.model_dump(mode="json", by_alias=True)
        for limit in TEAM:
            if knows(*SPEC, *limit.path):
                self._hold(limit, (*SPEC, *limit.path), _at(spec, limit.path), tree)

    def _built_in_defaults(self) -> Iterator[str]:
        """Limits that the built-in defaults break: one mistake of _org.yaml, not one of every service."""
        defaults = {name: ServiceSpec.model_fields[name].default for name in ("profiling", "gate", "budget")}
        fields = {name: default.model_dump(mode="json", by_alias=True) for name, default in defaults.items()}
        for limit in SERVICE:
            where, value = ("spec", "defaults", *limit.path), _at(fields, limit.path)
            values = value if isinstance(value, list) else [value]
            if (
                self.tree.find(where)
                or not self.knows(*where)
                or all(limit.allows(v, self.bounds[limit.key]) for v in values)
            ):
                continue
            yield limit.key
            shown = ", ".join(map(_shown, values))
            self.report.add(
                "050",
                f"{limit.key} rules out the built-in default {shown} of {show_path(limit.path)}, which services "
                "without a value of their own would get",
                self._limit_at(limit.key),
                fix=f"Set {show_path(where)} to a value within the limit.",
            )

    def _hold(self, limit: Limit, path: Path, value: Any, tree: Node) -> None:
        bound, at = self.bounds[limit.key], self._limit_at(limit.key)
        entries = [((*path, i), v) for i, v in enumerate(value)] if isinstance(value, list) else [(path, value)]
        for where, entry in entries:
            if limit.allows(entry, bound):
                continue
            node = tree.find(where)
            shown = _shown(entry)
            words = ", ".join(bound) if isinstance(bound, list) else limit.words(bound)
            self.report.add(
                "050",
                f"{show_path(where)} is {shown}{'' if node else ' by default'}; the organisation allows {words} "
                f"({limit.key}, {at})",
                node.where if node else tree.nearest(path).where,
                valid=tuple(bound) if isinstance(bound, list) else (words,),
                related=(at,),
            )

    def _limit_at(self, key: str) -> Location:
        return self.tree.nearest(("spec", "limits", key)).where


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _at(spec: Any, path: Path) -> Any:
    for step in path:
        spec = spec[step]
    return spec
