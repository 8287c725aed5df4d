"""Sums over time, without stacks: what is stored, by labels and step, in one cheap query.

Pyroscope's step at ``t`` holds what was recorded in ``(t - step, t]``, and its first step also what stands on its lower
edge (`pkg/model/timeseries/range.go`). Steps are therefore asked for that end one millisecond before the next begins,
with one in front that is thrown away: each of the others is then exactly ``[t, t + step)`` in whole milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flameplane.backend.client import Gateway
from flameplane.backend.selector import Labels, labels_of
from flameplane.wire.pyroscope_pb2 import SelectSeriesRequest, SelectSeriesResponse

Totals = dict[tuple[Labels, int], float]  # by labels, and the millisecond at which the step begins


@dataclass(frozen=True)
class Steps:
    """``[start, end)`` cut into steps, all in milliseconds; ``end - start`` is a multiple of ``step``."""

    start: int
    end: int
    step: int


def totals(
    gateway: Gateway, tenant: str, profile_type: str, selector: str, *, steps: Steps, group_by: Sequence[str]
) -> Totals:
    """Totals of the series that are selected, by the labels of ``group_by`` and by step."""
    question = SelectSeriesRequest(
        profile_typeID=profile_type,
        label_selector=selector,
        start=steps.start - 1,
        end=steps.end - 1,
        group_by=group_by,
        step=steps.step / 1000,
    )
    answer = gateway.ask(tenant, "SelectSeries", question, SelectSeriesResponse)
    found: Totals = {}
    for series in answer.series:
        labels = labels_of(series.labels)
        for point in series.points:
            begin = point.timestamp - steps.step + 1
            if begin >= steps.start and point.value:
                found[labels, begin] = found.get((labels, begin), 0.0) + point.value
    return found
