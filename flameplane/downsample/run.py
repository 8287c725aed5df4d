"""One run: every team's ledger, everything that is due, a few at a time; then what the figures say."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf

from flameplane.backend import BackendError
from flameplane.downsample.hours import Hour, instant
from flameplane.downsample.ledger import Item, Ledger, NotMerged, Tiers, read
from flameplane.downsample.merge import Merged, merge, plan

Tell = Callable[[str], None]


class TooLate(Exception):
    """An hour that can be merged no more."""

    def __init__(self, missing: int) -> None:
        super().__init__(
            "too late, more than 20 h after it began: Pyroscope would store it and never find it. "
            f"{missing} label set{'' if missing == 1 else 's'} of it will be missing from the hourly profiles"
        )


@dataclass
class TeamRun:
    """What a run came to for one team."""

    team: str
    hours: Sequence[Hour]
    merged: Merged = field(default_factory=Merged)
    there: int = 0
    late: set[Hour] = field(default_factory=set)
    unmerged: set[Hour] = field(default_factory=set)  # the late ones too
    unknown: set[str] = field(default_factory=set)  # types
    failures: int = 0
    findings: int = 0
    read: bool = True  # whether the ledger could be read

    @property
    def until(self) -> int:
        """The end of what is merged without a gap, in milliseconds."""
        return min(self.unmerged).start if self.unmerged else self.hours[-1].end


@dataclass(frozen=True)
class Job:
    """What to do. ``hours`` are consecutive and closed; ``parallel`` profiles are held in memory at once.

    After ``ends`` (by ``time.monotonic``) nothing is begun: another run may be under way.
    """

    hours: Sequence[Hour]
    now: int
    parallel: int
    dry_run: bool
    tell: Tell
    ends: float = inf


def run(job: Job, teams: Sequence[Tiers]) -> list[TeamRun]:
    """Merge what is due in every team; what goes wrong with one concerns no other."""
    results = [TeamRun(tiers.team, job.hours) for tiers in teams]
    with ThreadPoolExecutor(job.parallel) as pool:
        ledgers = list(pool.map(_read, teams, results, [job] * len(teams)))
        work = [
            (tiers, result, item)
            for tiers, result, ledger in zip(teams, results, ledgers, strict=True)
            for item in ledger.items
        ]
        work.sort(key=lambda one: one[2].hour)  # the oldest hours of all teams first: they have the least time left
        outcomes = pool.map(lambda one: _merge(job, one[0], one[2]), work)
        for (_, result, item), outcome in zip(work, outcomes, strict=True):
            _note(result, item, outcome, job.tell)
    return results


def _read(tiers: Tiers, result: TeamRun, job: Job) -> Ledger:
    try:
        found = read(tiers, job.hours)
    except Exception as error:  # whatever it is, it concerns no other team
        job.tell(f"{tiers.team}: what is merged cannot be asked: {_told(error)}")
        result.read, result.failures = False, 1
        return Ledger()
    result.there = found.merged
    for text in found.differing:
        result.findings += 1
        job.tell(f"{tiers.team}: {text}: the tiers do not agree; hourly profiles cannot be taken back")
    for (profile_type, hour), value in sorted(found.unknown.items()):
        result.findings += 1
        result.unknown.add(profile_type)
        job.tell(
            f"{tiers.team}: {profile_type} {hour} ({value:.0f}): nobody decided whether its profiles may be summed, so "
            "it is not in the hourly ones; add the type to flameplane/downsample/types.py"
        )
    return found


def _merge(job: Job, tiers: Tiers, item: Item) -> Merged | Exception:
    try:
        if time.monotonic() > job.ends:
            return NotMerged("the time of this run is over; the next one merges it")
        if item.hour.state(job.now) == "late":
            missing = len(plan(tiers, item).wanted)
            return TooLate(missing) if missing else Merged()
        return merge(tiers, item, job.dry_run)
    except Exception as error:  # likewise: the next run tries again
        return error


def _told(error: Exception) -> str:
    """What was to be expected says itself what it is."""
    expected = isinstance(error, BackendError | NotMerged | TooLate)
    return str(error) if expected else f"{type(error).__name__}: {error} (a mistake in the job itself)"


def _note(result: TeamRun, item: Item, outcome: Merged | Exception, tell: Tell) -> None:
    if isinstance(outcome, Exception):
        result.unmerged.add(item.hour)
        if isinstance(outcome, TooLate):
            result.late.add(item.hour)
            result.findings += 1
        else:
            result.failures += 1
        tell(f"{result.team}: {item}: {_told(outcome)}")
        return
    result.there += outcome.there
    result.merged = replace(
        result.merged,
        pushed=result.merged.pushed + outcome.pushed,
        bytes=result.merged.bytes + outcome.bytes,
    )


def summary(job: Job, results: Sequence[TeamRun]) -> str:
    """The one line of a run."""
    pushed, size = sum(r.merged.pushed for r in results), sum(r.merged.bytes for r in results)
    late = sorted({hour for r in results for hour in r.late})
    until = min((r.until for r in results if r.read), default=0)
    return ", ".join(
        (
            f"downsample: {len(results)} team{'' if len(results) == 1 else 's'}",
            f"{job.hours[0]} to {instant(job.hours[-1].end)}",
            f"{pushed} profiles {'would be ' if job.dry_run else ''}merged ({size / 1000:.1f} kB)",
            f"{sum(r.there for r in results)} there already",
            f"{sum(r.failures for r in results)} failed",
            f"{len(late)} hours too late{' (' + ', '.join(map(str, late)) + ')' if late else ''}",
            f"merged until {instant(until) if until else 'unknown'}",
        )
    )
