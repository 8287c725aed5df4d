"""The last upload interval of an hour: of a size that was reached, one moment is kept, with every pod in it once.

Pods upload in turn, each once per interval. So the window ends with the service's last upload of the hour and begins
one interval before it; how long that is, the uploads say. What is odd is left out rather than counted twice: a pod that
uploaded twice within the window (it stopped, and sent what it had), and pods that were gone before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
    gaps = [of[-1] - of[-2] for of in times.values() if len(of) > 1]
    start = last - median_low(gaps) + STEP if gaps else earliest
    if gaps:
        # A clock that is a moment early would put two uploads of one pod into the window: it begins after the first.
        usual = median_low(gaps) / 2
        early = [of[-2] for of in times.values() if len(of) > 1 and of[-2] >= start and of[-1] - of[-2] > usual]
        start = max([start, *(one + STEP for one in early)])
    without = sorted(pod for pod, of in times.items() if sum(one >= start for one in of) > 1)
    kept: dict[Labels, float] = {}
    for (labels, begin), value in uploads.items():
        pod = dict(labels).get(POD, "")
        if begin >= start and pod not in without:
            plain = tuple(pair for pair in labels if pair[0] != POD)
            kept[plain] = kept.get(plain, 0.0) + value
    return Window(start, last + STEP, tuple(without), kept)
