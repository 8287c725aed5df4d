"""One service, type and hour: asked for once more, merged, stored, and seen to be there."""

import gzip
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flameplane.backend import BackendError, Labels, matching
from flameplane.downsample.hours import MILLIS
from flameplane.downsample.labels import KEPT, RESOLUTION
from flameplane.downsample.latest import POD, last_interval
from flameplane.downsample.ledger import Item, NotMerged, Tiers, same
from flameplane.wire.pyroscope_pb2 import (
    LabelPair,
    Profile,
    PushRequest,
    PushResponse,
    RawProfileSeries,
    RawSample,
    SelectMergeProfileRequest,
)

# A pushed profile is found at once. Where the metastore was away, its entry is made up for from the queue of dead
# letters, every 15 s (`-metastore.dlq-recovery-check-interval`).
VISIBLE_SECONDS: Final = 45.0
_NANOS: Final = 1_000_000


@dataclass
class Merged:
    """What one item came to."""

    pushed: int = 0
    there: int = 0  # pushed by somebody else since the ledger was read
    bytes: int = 0  # compressed, as pushed


@dataclass(frozen=True)
class Plan:
    """What is to be merged of an item: label sets with their totals in ``[start, end)``, without some pods."""

    start: int
    end: int
    without: tuple[str, ...]
    wanted: dict[Labels, float]


def plan(tiers: Tiers, item: Item) -> Plan:
    """Of a type that is not summed, label sets that ended before the last interval are not missing."""
    if item.merge == "sum":
        return Plan(item.hour.start, item.hour.end, (), item.missing)
    chosen = last_interval(tiers, item)
    if not chosen.totals:
        raise NotMerged("no upload of the hour's last interval could be chosen")
    wanted = {labels: chosen.totals[labels] for labels in item.missing if labels in chosen.totals}
    return Plan(chosen.start, chosen.end, chosen.without, wanted)


def merge(tiers: Tiers, item: Item, dry_run: bool = False) -> Merged:
    """Merge what is missing. What goes wrong with one label set stops no other, and is raised in the end."""
    todo, done = plan(tiers, item), Merged()
    pushed: dict[Labels, float] = {}
    wrong: list[str] = []
    for labels, expected in sorted(todo.wanted.items()):
        try:
            total, raw = _merged(tiers, item, labels, todo, expected)
            if labels in held(tiers, item):
                done.there += 1
                continue
            if not dry_run:
                _push(tiers, item, labels, raw)
        except (BackendError, NotMerged) as error:
            wrong.append(str(error))
            continue
        pushed[labels] = total
        done.pushed += 1
        done.bytes += len(raw)
    if pushed and not dry_run:
        try:
            _seen(tiers, item, pushed)
        except NotMerged as error:
            wrong.append(str(error))
    if wrong:
        others = f" (and {done.pushed} label sets of it are merged)" if pushed and not dry_run else ""
        raise NotMerged("; ".join(wrong) + others)
    return done


def held(tiers: Tiers, item: Item) -> dict[Labels, float]:
    """What the long tier has of an item, by labels."""
    found = tiers.of(item.service).hourly(item.profile_type, [item.hour])
    return {labels: value for (labels, _), value in found.items()}


def _merged(tiers: Tiers, item: Item, labels: Labels, todo: Plan, expected: float) -> tuple[float, bytes]:
    """The hour's own profile of one label set, from its first moment and one hour long: its total, and compressed."""
    profile = _fetch(tiers, item, labels, todo)
    total = sum(sample.value[0] for sample in profile.sample)
    if not same(total, expected):
        raise NotMerged(f"the merged profile holds {total}, its series {expected:.0f}; nothing was pushed")
    profile.time_nanos = item.hour.start * _NANOS
    profile.duration_nanos = MILLIS * _NANOS
    plain = profile.SerializeToString()
    del profile  # as much as all that follows
    return total, gzip.compress(plain, 6, mtime=0)


def _fetch(tiers: Tiers, item: Item, labels: Labels, todo: Plan) -> Profile:
    """The merged profile of one label set: every label by its value, those that it lacks as empty."""
    values = {**dict.fromkeys(KEPT, ""), **dict(labels)}
    question = SelectMergeProfileRequest(
        profile_typeID=item.profile_type,
        label_selector=matching(values, [(POD, pod) for pod in todo.without]),
        start=todo.start,
        end=todo.end - 1,  # both ends count
    )
    return tiers.gateway.ask(tiers.team, "SelectMergeProfile", question, Profile)


def _push(tiers: Tiers, item: Item, labels: Labels, raw: bytes) -> None:
    """One series a request: what is stored of it is all or nothing."""
    name = item.profile_type.partition(":")[0]
    values: Mapping[str, str] = {**dict(labels), RESOLUTION[0]: RESOLUTION[1], "__name__": name}
    series = RawProfileSeries(
        labels=[LabelPair(name=name, value=value) for name, value in sorted(values.items())],
        samples=[RawSample(raw_profile=raw)],
    )
    tiers.gateway.push(PushRequest(series=[series]), PushResponse)


def _seen(tiers: Tiers, item: Item, pushed: Mapping[Labels, float]) -> None:
    """Raise ``NotMerged`` unless the long tier shows exactly what was pushed."""
    end = time.monotonic() + VISIBLE_SECONDS
    while True:
        try:
            stored = held(tiers, item)
        except BackendError as error:
            raise NotMerged(f"pushed, but whether it is there cannot be asked: {error}") from error
        if all(same(stored.get(labels, 0.0), total) for labels, total in pushed.items()):
            return
        if time.monotonic() > end:
            break
        time.sleep(1.0)
    wrong = next(labels for labels, total in pushed.items() if not same(stored.get(labels, 0.0), total))
    raise NotMerged(f"pushed {pushed[wrong]:.0f}, and the long tier shows {stored.get(wrong, 0.0):.0f}")
