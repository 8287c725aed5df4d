"""Which hours can be merged. All times are UTC, in milliseconds since the epoch, as Pyroscope keeps them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

MILLIS: Final = 3_600_000
# Until then a late profile may still come in: `reject_older_than` of a team's tenant (components/pyroscope_limits.py).
SETTLES: Final = MILLIS
# Pyroscope finds what was pushed less than 24 h after its hour, and never what came later; 4 h are left for the run.
TOO_LATE: Final = 20 * MILLIS
# How far back each run looks for hours that nobody merged: those that are too late are told for a day and more.
LOOK_BACK: Final = 48

State = Literal["open", "due", "late"]


@dataclass(frozen=True, order=True)
class Hour:
    """One hour ``[start, end)`` by the clock."""

    start: int

    @property
    def end(self) -> int:
        """The first millisecond after it."""
        return self.start + MILLIS

    def state(self, now: int) -> State:
        """``open``: more may come in. ``due``: to be merged. ``late``: would be stored and never found."""
        if self.end + SETTLES > now:
            return "open"
        return "due" if now - self.start <= TOO_LATE else "late"

    def __str__(self) -> str:
        return instant(self.start)


def instant(millis: int) -> str:
    """A time as people write it."""
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse(text: str) -> Hour:
    """An hour as ``2026-11-27T13:00Z``. Raises ``ValueError`` with what is wrong."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"{text} is no hour; valid: 2026-11-27T13:00Z") from None
    if found.tzinfo is None or found.utcoffset():
        raise ValueError(f"{text} says no time zone or another than UTC; valid: 2026-11-27T13:00Z")
    if found.minute or found.second or found.microsecond:
        raise ValueError(f"{text} is not the start of an hour; valid: {found:%Y-%m-%dT%H}:00Z")
    return Hour(int(found.timestamp() * 1000))


def recent(now: int, count: int = LOOK_BACK) -> list[Hour]:
    """The last closed hours, the oldest first."""
    last = (now - SETTLES) // MILLIS * MILLIS  # the first one that is not closed
    return [Hour(last - n * MILLIS) for n in range(count, 0, -1)]
