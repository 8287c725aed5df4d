"""The last upload interval of an hour: of a size that was reached, one moment is kept, with every pod in it once.

Pods upload in turn, each once per interval. So the window ends with the service's last upload of the hour and begins
one interval before it; how long that is, the uploads say. Pods that were gone before it do not count, and none counts
twice: one that uploaded twice within the window (a clock that is a moment early, or a pod that stopped and sent what it
had) is left out, or the window begins after the first of the two, whichever costs fewer pods.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Final

from flameplane.backend import Labels, Steps, Totals
from flameplane.downsample.labels import KEPT
from flameplane.downsample.ledger import Item, Tiers

STEP: Final = 1000  # milliseconds to which the uploads are looked at
POD: Final = "pod"


@dataclass(frozen=True)
class Window:
    """``[start, end)`` in milliseconds, the pods to leave out, and the total of each label set in it."""

    start: int
    end: int
    without: tuple[str, ...]
    totals: Mapping[Labels, float]


def last_interval(tiers: Tiers, item: Item) -> Window:
    """The window of one service, type and hour."""
    steps = Steps(item.hour.start, item.hour.end, STEP)
    found = tiers.of(item.service).fine(item.profile_type, steps, (*KEPT, POD))
    return window(found, item.hour.start)


def window(uploads: Totals, earliest: int) -> Window:
    """From the uploads of an hour, by labels with the pod and the step in which they were made."""
    times: dict[str, list[int]] = {}
    for labels, start in sorted(uploads, key=lambda key: key[1]):
        times.setdefault(dict(labels).get(POD, ""), []).append(start)
    last = max(start for _, start in uploads)
    usual = [median_low(b - a for a, b in pairwise(of)) for of in times.values() if len(of) > 1]
    start = last - median_low(usual) + STEP if usual else earliest
    twice = {pod for pod, of in times.items() if sum(one >= start for one in of) > 1}
    later = max((times[pod][-2] + STEP for pod in twice), default=start)
    # Either the window begins after the first of two uploads, or the pods that made them are left out.
    if sum(start <= of[-1] < later for of in times.values()) < len(twice):
        start, twice = later, set()
    kept: dict[Labels, float] = {}
    for (labels, begin), value in uploads.items():
        if begin >= start and dict(labels).get(POD, "") not in twice:
            plain = tuple(pair for pair in labels if pair[0] != POD)
            kept[plain] = kept.get(plain, 0.0) + value
    return Window(start, last + STEP, tuple(sorted(twice)), kept)
