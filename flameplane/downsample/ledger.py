"""What is still to be merged. The ledger is the long tier itself: what it holds of an hour has been merged.

An hour of a label set is due when the fine tier has something and the long tier has not. So a crash after a push is no
matter, nothing has to be kept beside the profiles, and an hour in which a service had no samples needs no entry: there
is nothing to be merged in it, today and tomorrow. What is merged whole is also seen, since the totals are at hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from flameplane.backend import Gateway, Labels, Steps, Totals, matching, totals
from flameplane.downsample.hours import MILLIS, Hour
from flameplane.downsample.labels import KEPT, RESOLUTION, SERVICE
from flameplane.downsample.types import Merge, merge_of
from flameplane.wire.pyroscope_pb2 import ProfileTypesRequest, ProfileTypesResponse

FINE_HOURS: Final = 24  # of one query: `max_query_length` of a team's tenant
_ROUNDING: Final = 1e-9  # sums come as floating-point numbers


class NotMerged(Exception):
    """What was read or written is not what it should be; the message says why."""


@dataclass(frozen=True)
class Tiers:
    """A team's two tenants, and the services to look at (empty: all)."""

    gateway: Gateway
    team: str
    longterm: str
    service: str = ""

    def fine(self, profile_type: str, steps: Steps, group_by: Sequence[str]) -> Totals:
        """What the fine tier has."""
        selector = self._selector()
        return totals(self.gateway, self.team, profile_type, selector, steps=steps, group_by=group_by)

    def hourly(self, profile_type: str, hours: Sequence[Hour]) -> Totals:
        """What the long tier has of consecutive hours."""
        steps, selector = Steps(hours[0].start, hours[-1].end, MILLIS), self._selector(RESOLUTION)
        return totals(self.gateway, self.longterm, profile_type, selector, steps=steps, group_by=KEPT)

    def of(self, service: str) -> "Tiers":
        """The same tiers, looked at for one service."""
        return replace(self, service=service)

    def _selector(self, *more: tuple[str, str]) -> str:
        return matching({**({SERVICE: self.service} if self.service else {}), **dict(more)})


@dataclass(frozen=True)
class Item:
    """One service, type and hour, and the label sets that the long tier does not have, with their fine totals."""

    service: str
    profile_type: str
    merge: Merge
    hour: Hour
    missing: dict[Labels, float]

    def __str__(self) -> str:
        return f"{self.service} {self.profile_type} {self.hour}"


@dataclass
class Ledger:
    """What is missing, what cannot be merged since nobody decided how, and what does not add up."""

    items: list[Item] = field(default_factory=list)
    unknown: dict[tuple[str, Hour], float] = field(default_factory=dict)  # by type
    differing: list[str] = field(default_factory=list)
    merged: int = 0  # label sets and hours that are there


def read(tiers: Tiers, hours: Sequence[Hour]) -> Ledger:
    """Compare the tiers over consecutive ``hours``."""
    found = Ledger()
    for profile_type in profile_types(tiers, hours):
        fine = _fine(tiers, profile_type, hours)
        merge = merge_of(profile_type)
        if merge is None:
            for (_, start), value in fine.items():
                hour = Hour(start)
                found.unknown[profile_type, hour] = found.unknown.get((profile_type, hour), 0.0) + value
            continue
        _compare(found, profile_type, merge, fine, tiers.hourly(profile_type, hours))
    found.items.sort(key=lambda item: (item.hour, item.service, item.profile_type))
    return found


def profile_types(tiers: Tiers, hours: Sequence[Hour]) -> list[str]:
    """Types that the fine tier may hold in these hours."""
    names = set()
    for day in _days(hours):
        question = ProfileTypesRequest(start=day[0].start, end=day[-1].end)
        answer = tiers.gateway.ask(tiers.team, "ProfileTypes", question, ProfileTypesResponse)
        names |= {found.ID for found in answer.profile_types}
    return sorted(names)


def _fine(tiers: Tiers, profile_type: str, hours: Sequence[Hour]) -> Totals:
    found: Totals = {}
    for day in _days(hours):
        found |= tiers.fine(profile_type, Steps(day[0].start, day[-1].end, MILLIS), KEPT)
    return found


def _days(hours: Sequence[Hour]) -> Iterator[Sequence[Hour]]:
    for first in range(0, len(hours), FINE_HOURS):
        yield hours[first : first + FINE_HOURS]


def _compare(found: Ledger, profile_type: str, merge: Merge, fine: Totals, long: Totals) -> None:
    missing: dict[tuple[str, int], dict[Labels, float]] = {}
    for (labels, start), value in fine.items():
        merged = long.get((labels, start))
        if merged is None:
            missing.setdefault((_service(labels), start), {})[labels] = value
            continue
        found.merged += 1
        if merge == "sum" and not same(merged, value):
            found.differing.append(_differs(_service(labels), profile_type, start, value, merged))
    whole, stored = _by_service(fine), _by_service(long)
    gone = {(_service(labels), start) for labels, start in long.keys() - fine.keys()}
    for (service, start), sets in missing.items():
        hour, left = whole[service, start], sum(sets.values())
        there = stored.get((service, start), 0.0)
        if merge == "sum" and there + left > hour * (1 + _ROUNDING):
            found.differing.append(
                f"{_differs(service, profile_type, start, hour, there)}, and {left:.0f} more to merge; not pushed"
            )
        elif merge == "last" and (service, start) in gone:
            found.differing.append(
                f"{service} {profile_type} {Hour(start)}: the hourly profiles have a label set that the fine ones have "
                f"not, and lack {len(sets)}; not pushed"
            )
        else:
            found.items.append(Item(service, profile_type, merge, Hour(start), sets))


def _service(labels: Labels) -> str:
    return dict(labels).get(SERVICE, "")


def _by_service(of: Totals) -> dict[tuple[str, int], float]:
    """Totals of services and hours, whatever their other labels: nothing may be pushed beyond them."""
    found: dict[tuple[str, int], float] = {}
    for (labels, start), value in of.items():
        key = _service(labels), start
        found[key] = found.get(key, 0.0) + value
    return found


def _differs(service: str, profile_type: str, start: int, fine: float, hourly: float) -> str:
    return f"{service} {profile_type} {Hour(start)}: {fine:.0f} fine, {hourly:.0f} hourly"


def same(one: float, other: float) -> bool:
    """Whether two totals are one, but for rounding."""
    return abs(one - other) <= _ROUNDING * max(abs(one), abs(other))
