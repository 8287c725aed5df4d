"""The estimate and what the change makes of it, as rows: platform, teams, and the services that change."""

from dataclasses import dataclass

from flameplane.cost import Estimate

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
    """The platform, then every team, then the services whose estimate changes; gone ones with what they cost."""
    old = before or after
    result = [
        Row(
            "platform",
            after.usd,
            after.stored_gb,
            after.usd - old.usd,
            after.stored_gb - old.stored_gb,
            after.ceiling_usd,
        )
    ]
    for items, earlier, all_of_them in (
        (after.teams, {t.name: t for t in old.teams}, True),
        (after.services, {s.name: s for s in old.services}, False),
    ):
        for item in items:
            was = earlier.pop(item.name, None)
            usd, gb = (was.usd, was.stored_gb) if was else (0.0, 0.0)
            row = Row(item.name, item.usd, item.stored_gb, item.usd - usd, item.stored_gb - gb, item.ceiling_usd)
            if all_of_them or row.changes:
                result.append(row)
        result += [Row(f"{name} (removed)", 0, 0, -was.usd, -was.stored_gb) for name, was in earlier.items()]
    return result
