"""The estimate and what the change makes of it, as rows: platform, teams, and the services that change."""

from dataclasses import dataclass

from flameplane.cost import Estimate, ServiceCost, TeamCost

_CENT = 0.005  # USD; smaller differences are rounding


@dataclass(frozen=True)
class Row:
    """One line: USD a month and stored GB, each with what changes; ``ceiling`` is the declared one, USD a month."""

    name: str
    usd: float
    gb: float
    usd_change: float
    gb_change: float
    ceiling: float | None = None

    @property
    def changes(self) -> bool:
        """Whether anything of it can be seen at two digits."""
        return abs(self.usd_change) >= _CENT or abs(self.gb_change) >= _CENT

    def usd_words(self) -> str:
        """``12.10 (+0.40) of 400``."""
        change = f" ({self.usd_change:+.2f})" if abs(self.usd_change) >= _CENT else ""
        return f"{self.usd:.2f}{change}" + (f" of {self.ceiling:g}" if self.ceiling is not None else "")

    def gb_words(self) -> str:
        """``3.10 (+0.20)``."""
        change = f" ({self.gb_change:+.2f})" if abs(self.gb_change) >= _CENT else ""
        return f"{self.gb:.2f}{change}"


def rows(after: Estimate, before: Estimate | None = None) -> list[Row]:
    """The platform, then every team that costs something, each followed by its services whose estimate changes, gone
    ones included."""
    old = before or after
    more, gb_more = after.usd - old.usd, after.stored_gb - old.stored_gb
    result = [Row("platform", after.usd, after.stored_gb, more, gb_more, after.ceiling_usd)]
    teams, services = ({i.name: i for i in items} for items in (old.teams, old.services))
    for team in after.teams:
        row = _row(team.name, team, teams.pop(team.name, None))
        result += [row] if row.usd or row.changes else []
        own = [s for s in after.services if s.team == team.name]
        changed = [_row(f"{team.name}/{s.name}", s, services.pop(s.name, None)) for s in own]
        result += [row for row in changed if row.changes]
    gone: list[TeamCost | ServiceCost] = [*teams.values(), *services.values()]
    return [*result, *(Row(f"{was.name} (removed)", 0, 0, -was.usd, -was.stored_gb) for was in gone)]


def _row(name: str, item: TeamCost | ServiceCost, was: TeamCost | ServiceCost | None) -> Row:
    usd, gb = (was.usd, was.stored_gb) if was else (0.0, 0.0)
    return Row(name, item.usd, item.stored_gb, item.usd - usd, item.stored_gb - gb, item.ceiling_usd)
