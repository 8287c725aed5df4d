"""The organisation's floors and ceilings, held against effective values: policy, which no merge can override."""

from typing import Any

from flameplane.catalog.report import Report
from flameplane.catalog.tree import Node, Path, show_path
from flameplane.findings import Location
from schemas.service import Service, ServiceSpec
from schemas.team import Organisation, Team

# Path below spec of the limited value, the limit's key in _org.yaml, and whether the limit is its ceiling.
_SERVICE = (
    (("profiling", "sampleRateHz"), "maxSampleRateHz", True),
    (("budget", "monthlyUsd"), "maxMonthlyUsd", True),
    (("budget", "storedGb"), "maxStoredGb", True),
    (("gate", "mode"), "gateModes", True),
)
_TEAM = (
    (("retention", "fineDays"), "minFineDays", False),
    (("retention", "downsampledDays"), "maxDownsampledDays", True),
)


class Limiter:
    """Holds effective values against the limits of one organisation."""

    def __init__(self, organisation: Organisation, tree: Node, report: Report) -> None:
        self.limits = organisation.spec.limits.model_dump(mode="json", by_alias=True)
        self.tree, self.report = tree, report
        self.broken_by_default = self._built_in_defaults()

    def service(self, service: Service, tree: Node) -> None:
        """Every limited value of a service; the finding points at the line that set it, in whichever file."""
        spec = service.spec.model_dump(mode="json", by_alias=True)
        for path, limit, ceiling in _SERVICE:
            if limit not in self.broken_by_default or tree.find(("spec", *path)):
                self._hold(("spec", *path), spec[path[0]][path[1]], tree, limit, ceiling)

    def team(self, team: Team, tree: Node) -> None:
        """The team's retention."""
        retention = team.spec.retention.model_dump(mode="json", by_alias=True)
        for path, limit, ceiling in _TEAM:
            self._hold(("spec", *path), retention[path[1]], tree, limit, ceiling)

    def _built_in_defaults(self) -> set[str]:
        """Limits that the built-in defaults break: one mistake of _org.yaml, not one of every service."""
        defaults = {
            ("profiling", "sampleRateHz"): ServiceSpec.model_fields["profiling"].default.sample_rate_hz,
            ("budget", "monthlyUsd"): ServiceSpec.model_fields["budget"].default.monthly_usd,
            ("budget", "storedGb"): ServiceSpec.model_fields["budget"].default.stored_gb,
            ("gate", "mode"): ServiceSpec.model_fields["gate"].default.mode,
        }
        broken = set()
        for path, limit, ceiling in _SERVICE:
            if self.tree.find(("spec", "defaults", *path)) or self._within(defaults[path], limit, ceiling):
                continue
            broken.add(limit)
            where = ("spec", "defaults", *path)
            self.report.add(
                "050",
                f"{limit} rules out the built-in default {defaults[path]} of {show_path(path)}, which services "
                "without a value of their own would get",
                self._limit_at(limit),
                fix=f"Set {show_path(where)} to a value within the limit.",
            )
        return broken

    def _within(self, value: Any, limit: str, ceiling: bool) -> bool:
        bound = self.limits[limit]
        if isinstance(bound, list):
            return value in bound
        return bool(value <= bound if ceiling else value >= bound)

    def _hold(self, path: Path, value: Any, tree: Node, limit: str, ceiling: bool) -> None:
        if self._within(value, limit, ceiling):
            return
        bound, at = self.limits[limit], self._limit_at(limit)
        shown = ", ".join(bound) if isinstance(bound, list) else f"{'at most' if ceiling else 'at least'} {bound:g}"
        node = tree.find(path)
        built_in = "" if node else " by default"
        shown_value = value if isinstance(value, str) else f"{value:g}"
        self.report.add(
            "050",
            f"{show_path(path)} is {shown_value}{built_in}; the organisation allows {shown} ({limit}, {at})",
            node.where if node else tree.nearest(path).where,
            valid=tuple(bound) if isinstance(bound, list) else (shown,),
            related=(at,),
        )

    def _limit_at(self, limit: str) -> Location:
        return self.tree.nearest(("spec", "limits", limit)).where
