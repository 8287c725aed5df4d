"""The last upload interval of an hour: of a size that was reached, one moment is kept, with every pod in it once.

Pods upload in turn, each once per interval. So the window ends with the service's last upload of the hour and begins
one interval before it; how long that is, the uploads say. Pods that were gone before it do not count, and none counts
twice: one that uploaded twice within the window (a clock that is a moment early, or a pod that stopped and sent what it
had) is left out, or the window begins after the first of the two, whichever costs fewer uploaders. Who uploads is a
label set of a container of a pod: a pod may have several. Processes of one container (workers) cannot be told apart:
where uploads come closer than one process makes them, nobody is left out, and the window is one interval of our agents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Final

from flameplane.backend import Labels, Steps, Totals
from flameplane.downsample.labels import KEPT
from flameplane.downsample.ledger import Item, NotMerged, Tiers

STEP: Final = 1000  # milliseconds to which the uploads are looked at
POD: Final = "pod"
_UPLOADER: Final = (POD, "container")  # beside the labels that stay
UPLOAD: Final = 15_000  # the interval of our agents
_ONE_PROCESS: Final = 9_000  # shortest mean interval of one: others upload every 10 s, and two of ours every 7.5 s
_FEW: Final = 4  # uploads that show no interval: a pod that stopped sends two at once


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
    found = tiers.of(item.service).fine(item.profile_type, steps, (*KEPT, *_UPLOADER))
    return window(found, item.hour.start)


def window(uploads: Totals, earliest: int) -> Window:
    """From the uploads of an hour, by labels with pod and container and the step in which they were made."""
    if not uploads:
        raise NotMerged("the fine tier no longer shows what it had")
    times: dict[Labels, list[int]] = {}  # by uploader
    for labels, start in sorted(uploads, key=lambda key: key[1]):
        times.setdefault(labels, []).append(start)
    last = max(start for _, start in uploads)
    workers = {of for of, at in times.items() if len(at) > _FEW and (at[-1] - at[0]) < _ONE_PROCESS * (len(at) - 1)}
    usual = [
        median_low(b - a for a, b in pairwise(at)) for of, at in times.items() if of not in workers and len(at) > 1
    ]
    start = earliest
    if usual or workers:
        start = last - (median_low(usual) if usual else UPLOAD) + STEP
    doubled = [of for of, at in times.items() if of not in workers and sum(one >= start for one in at) > 1]
    twice = {_pod(of) for of in doubled}
    later = max((times[of][-2] + STEP for of in doubled), default=start)
    # Either the window begins after the first of two uploads, or the pods that made them are left out.
    left_out = sum(at[-1] >= start and _pod(of) in twice for of, at in times.items())
    if sum(start <= at[-1] < later for at in times.values()) < left_out:
        start, twice = later, set()
    kept: dict[Labels, float] = {}
    for (labels, begin), value in uploads.items():
        if begin >= start and _pod(labels) not in twice:
            plain = tuple(pair for pair in labels if pair[0] not in _UPLOADER)
            kept[plain] = kept.get(plain, 0.0) + value
    return Window(start, last + STEP, tuple(sorted(twice)), kept)


def _pod(labels: Labels) -> str:
    return dict(labels).get(POD, "")
