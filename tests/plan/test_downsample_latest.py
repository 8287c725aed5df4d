"""Of what is there at one moment the last upload interval of an hour is kept, every pod in it once."""

import pytest
from downsampled import CHECKOUT, FINE, LONG, last_hour, run
from pprof_samples import INUSE
from profile_store import HOUR, Store

from flameplane.downsample.hours import instant
from flameplane.downsample.latest import window
from flameplane.downsample.ledger import NotMerged


def test_a_size_is_kept_of_the_last_interval_alone(store: Store) -> None:
    """Heaps in use: three pods and a dead one; each counts once, at the end of the hour."""
    hour = last_hour()
    for pod, value in (("a", 1), ("b", 20), ("c", 300)):
        for at in range(hour + 1000 * value % 13_000, hour + HOUR, 15_000):
            store.add(FINE, {**CHECKOUT, "pod": pod}, at, {("f",): value}, INUSE)
    store.add(FINE, {**CHECKOUT, "pod": "dead"}, hour + 60_000, {("f",): 4000}, INUSE)
    assert run(store).exit_code == 0
    assert [one.total for one in store.tenants[LONG]] == [321]
    assert store.tenants[LONG][0].time == hour


def heaps(store: Store, names: list[str], every: int = 15_000, pods: int = 3, **labels: str) -> None:
    """Of each of these processes of each pod 10 in use, at another time within the interval."""
    for pod in range(pods):
        for n, name in enumerate(names):
            for at in range(last_hour() + 700 * pod + every * n // len(names), last_hour() + HOUR, every):
                own = {"pod": f"p{pod}", "container": name, **(labels or {"version": f"1.{n}"})}
                store.add(FINE, {**CHECKOUT, **own}, at, {("f",): 10}, INUSE)


@pytest.mark.parametrize("every", [10_000, 15_000])
@pytest.mark.parametrize("pods", [1, 3])
def test_containers_of_one_pod_count_each(store: Store, pods: int, every: int) -> None:
    heaps(store, ["app", "proxy"], every, pods, version="1.4.0")
    assert run(store).exit_code == 0
    assert [one.total for one in store.tenants[LONG]] == [10 * 2 * pods]


def test_label_sets_of_one_pod_are_all_kept(store: Store) -> None:
    """A sidecar of another version uploads in the same pod."""
    heaps(store, ["app", "sidecar"])
    assert run(store).exit_code == 0
    assert {one.labels["version"]: one.total for one in store.tenants[LONG]} == {"1.0": 30, "1.1": 30}


@pytest.mark.parametrize("pods", [1, 3])
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_workers_of_one_container_count_each(store: Store, workers: int, pods: int) -> None:
    """Processes of a pre-forking server, which have no labels of their own."""
    heaps(store, ["app"] * workers, pods=pods, version="1.4.0")
    assert run(store).exit_code == 0
    assert [one.total for one in store.tenants[LONG]] == [10 * workers * pods]


def test_a_window_of_nothing_is_not_taken_for_merged() -> None:
    with pytest.raises(NotMerged, match="no longer shows what it had"):
        window({}, 0)


S = 1000
REGULAR = {pod: list(range(n * S, 3_600 * S, 15 * S)) for n, pod in enumerate("abcde")}
ODD: dict[str, tuple[dict[str, list[int]], tuple[int, int], tuple[str, ...], int]] = {
    "all in turn": (REGULAR, (3575, 3590), (), 5),
    "one died before": ({**REGULAR, "x": [60 * S, 75 * S]}, (3575, 3590), (), 5),
    "one uploaded once": ({**REGULAR, "x": [3580 * S]}, (3575, 3590), (), 6),
    "one sent what it had and stopped": ({**REGULAR, "x": [3572 * S, 3587 * S, 3589 * S]}, (3575, 3590), ("x",), 5),
    "the same, before all others": ({**REGULAR, "x": [3565 * S, 3580 * S, 3583 * S]}, (3581, 3590), (), 6),
    "a clock a second early": ({**REGULAR, "x": [3560 * S, 3575 * S, 3589 * S]}, (3576, 3590), (), 6),
    "a single pod that stopped": ({"x": [15 * S, 30 * S, 45 * S, 47 * S]}, (46, 48), (), 1),
    "a single upload": ({"x": [15 * S]}, (0, 16), (), 1),
    "one that is slower": ({**REGULAR, "x": list(range(0, 3_600 * S, 60 * S))}, (3575, 3590), (), 5),
}


@pytest.mark.parametrize("case", ODD)
def test_the_last_interval(case: str) -> None:
    """No pod counts twice, whatever it did."""
    uploads, edges, without, pods_in_it = ODD[case]
    labels = {pod: (("pod", pod), ("service_name", "checkout")) for pod in uploads}
    found = window({(labels[pod], at): 1.0 for pod, times in uploads.items() for at in times}, 0)
    assert (found.start // S, found.end // S) == edges
    assert found.without == without
    assert found.totals == {(("service_name", "checkout"),): pods_in_it}


def test_a_version_that_ended_is_not_missing(store: Store) -> None:
    """Nor is it told as lost once its hour is too late."""
    for hour in (last_hour(), last_hour() - 25 * HOUR):
        for at in range(hour, hour + HOUR // 2, 15_000):
            store.add(FINE, {**CHECKOUT, "version": "1", "pod": "a"}, at, {("f",): 5}, INUSE)
        for at in range(hour + HOUR // 2, hour + HOUR, 15_000):
            store.add(FINE, {**CHECKOUT, "version": "2", "pod": "b"}, at, {("f",): 6}, INUSE)
    store.add(LONG, {**CHECKOUT, "version": "2", "resolution": "1h"}, last_hour() - 25 * HOUR, {("f",): 6}, INUSE)
    for _ in range(2):
        done = run(store)
        assert done.exit_code == 0, done.output
    assert [one.labels["version"] for one in store.tenants[LONG]] == ["2", "2"]
    assert f"merged until {instant(last_hour() + HOUR)}" in done.stdout
