"""`flameplane downsample` against a stand-in of the gateway and Pyroscope (profile_store.py): every rule of the merge.

What Pyroscope itself does with it, and the real gateway, prove test_downsample_door.py and the upstream tier.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from pprof_samples import ALLOC, CPU, INUSE
from profile_store import HOUR, Refused, Store, serving
from typer.testing import CliRunner

from flameplane.cli import app
from flameplane.downsample.hours import instant
from flameplane.downsample.labels import KEPT
from flameplane.downsample.latest import window
from flameplane.downsample.ledger import Item, NotMerged, Tiers
from flameplane.downsample.merge import Merged, merge

STACKS = {("leaf", "main"): 700, ("main",): 300}
CHECKOUT = {"service_name": "checkout", "team": "payments", "version": "1.4.0", "namespace": "shop"}
FINE, LONG = "payments", "payments-longterm"


def last_hour() -> int:
    """Start of the last hour that is closed: nothing more may come in for it."""
    return (int(time.time() * 1000) - HOUR) // HOUR * HOUR - HOUR


@pytest.fixture
def store(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(root)
    monkeypatch.setattr("flameplane.downsample.merge.VISIBLE_SECONDS", 0.0)
    (tmp_path / "token").write_text("secret\n")
    with serving(Store()) as found:
        found.token = tmp_path / "token"  # type: ignore[attr-defined]
        yield found


def run(store: Store, *options: str) -> Result:
    token = store.token  # type: ignore[attr-defined]
    return CliRunner().invoke(app, ["downsample", f"--gateway={store.url}", f"--gateway-token={token}", *options])


def pods(store: Store, hour: int, count: int = 3, every: int = 15_000, **labels: str) -> int:
    """CPU of an hour from several pods that upload in turn; its total."""
    for pod in range(count):
        for at in range(hour + 100 * pod, hour + HOUR, every):
            store.add(FINE, {**CHECKOUT, "pod": f"checkout-{pod}", "container": "app", **labels}, at, STACKS)
    return store.total(FINE, CPU)


def test_an_hour_is_identical_in_both_tiers(store: Store) -> None:
    hour = last_hour()
    total = pods(store, hour)
    done = run(store)
    assert done.exit_code == 0, done.output
    (merged,) = store.tenants[LONG]
    assert merged.total == total == 3 * 240 * 1000
    assert merged.stacks == {("leaf", "main"): 3 * 240 * 700, ("main",): 3 * 240 * 300}
    assert merged.labels == {**CHECKOUT, "resolution": "1h"}
    assert (merged.time, merged.duration, merged.type) == (hour, HOUR, CPU)
    assert "1 profiles merged" in done.stdout
    assert f"merged until {instant(hour + HOUR)}" in done.stdout
    assert store.headers["Authorization"] == "Bearer secret"


def test_each_version_is_a_profile_and_so_is_each_type(store: Store) -> None:
    hour = last_hour()
    for version, value in (("1.4.0", 5), ("1.5.0", 7)):
        for kind in (CPU, ALLOC):
            store.add(FINE, {**CHECKOUT, "version": version}, hour + 1, {("f",): value}, kind)
    assert run(store).exit_code == 0
    found = {(one.type, one.labels["version"]): one.total for one in store.tenants[LONG]}
    assert found == {(CPU, "1.4.0"): 5, (CPU, "1.5.0"): 7, (ALLOC, "1.4.0"): 5, (ALLOC, "1.5.0"): 7}


def test_a_label_that_is_missing_is_no_wildcard(store: Store) -> None:
    """A profile without a version is a label set of its own, and is not counted into another."""
    hour = last_hour()
    store.add(FINE, CHECKOUT, hour, {("f",): 1})
    store.add(FINE, {name: value for name, value in CHECKOUT.items() if name != "version"}, hour, {("f",): 2})
    assert run(store).exit_code == 0
    assert sorted(one.total for one in store.tenants[LONG]) == [1, 2]


def test_twice_is_no_double(store: Store) -> None:
    total = pods(store, last_hour())
    assert run(store).exit_code == 0
    again = run(store)
    assert again.exit_code == 0
    assert "0 profiles merged" in again.stdout
    assert "1 there already" in again.stdout
    assert store.total(LONG) == total
    assert store.calls.count("Push") == 1


def test_an_answer_that_got_lost_is_no_double(store: Store) -> None:
    """The push was stored and the job died before it knew: that is a crash between push and ledger."""
    total = pods(store, last_hour())

    def lose(method: str) -> None:
        if method == "Push":
            raise Refused(503, "unavailable", "connection lost")

    store.after = lose
    assert run(store).exit_code == 3
    assert store.calls.count("Push") == 1, "a push is not repeated blindly"
    store.after = lambda _: None
    assert run(store).exit_code == 0
    assert store.total(LONG) == total


def test_two_at_once_are_seen_before_the_push(store: Store) -> None:
    """Another run pushed since the ledger was read: the question right before the push finds it."""
    hour = last_hour()
    pods(store, hour)
    asked = []

    def another(method: str) -> None:
        asked.append(method)
        if asked.count("SelectSeries") == 4 and LONG not in store.tenants:  # 2 x fine, 1 x long, then the last question
            store.add(LONG, {**CHECKOUT, "resolution": "1h"}, hour, STACKS, pushed=int(time.time() * 1000))

    store.before = another
    assert run(store).exit_code == 0
    assert "Push" not in store.calls


def test_each_push_is_preceded_by_the_question(store: Store) -> None:
    """Another run pushes all other label sets while the first one is pushed."""
    hour, versions = last_hour(), [f"1.{n}" for n in range(4)]
    for version in versions:
        pods(store, hour, count=1, version=version)
    fine = store.total(FINE)

    def another(method: str) -> None:
        if method == "Push" and store.calls.count("Push") == 1:
            stacks = {stack: 240 * value for stack, value in STACKS.items()}
            for version in versions[1:]:
                labels = {**CHECKOUT, "version": version, "resolution": "1h"}
                store.add(LONG, labels, hour, stacks, pushed=int(time.time() * 1000))

    store.after = another
    done = run(store)
    assert done.exit_code == 0, done.output
    assert (store.calls.count("Push"), store.total(LONG)) == (1, fine)
    assert "1 profiles merged" in done.stdout


def test_missed_hours_are_caught_up(store: Store) -> None:
    hours = [last_hour() - n * HOUR for n in (0, 1, 5, 17)]
    totals = {hour: pods(store, hour, count=1) for hour in hours}
    done = run(store)
    assert done.exit_code == 0, done.output
    assert sorted(one.time for one in store.tenants[LONG]) == sorted(hours)
    assert store.total(LONG) == max(totals.values())


def test_too_late_is_refused_and_told(store: Store) -> None:
    late, due = last_hour() - 20 * HOUR, last_hour()
    store.add(FINE, CHECKOUT, late + 5, STACKS)
    store.add(FINE, CHECKOUT, due + 5, STACKS)
    done = run(store)
    assert done.exit_code == 1
    assert f"payments: checkout {CPU} {instant(late)}: too late, more than 20 h after it began" in done.stderr
    assert f"1 hours too late ({instant(late)})" in done.stdout
    assert f"merged until {instant(late)}" in done.stdout
    assert [one.time for one in store.tenants[LONG]] == [due]


def test_by_hand_for_one_hour(store: Store) -> None:
    hour = last_hour() - 3 * HOUR
    pods(store, hour, count=1)
    pods(store, hour + HOUR, count=1)
    assert run(store, f"--hour={instant(hour)}", "--dry-run").exit_code == 0
    assert LONG not in store.tenants
    assert run(store, f"--hour={instant(hour)}", "--team=payments", "--service=checkout").exit_code == 0
    assert [one.time for one in store.tenants[LONG]] == [hour]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--hour=yesterday"], "yesterday is no hour; valid: 2026-11-27T13:00Z"),
        (["--hour=2026-11-27T13:30Z"], "not the start of an hour; valid: 2026-11-27T13:00Z"),
        (["--hour=2026-11-27T13:00"], "says no time zone"),
        (
            [f"--hour={instant(last_hour() + 4 * HOUR)}"],
            "is not closed: profiles of it are taken until",
        ),
        (["--team=nobody"], "there is no team nobody; valid: catalog"),
        (["--service=nothing"], "there is no service nothing"),
        (["--team=catalog", "--service=checkout"], "checkout is of team payments"),
        (["--catalog=/"], "holds no catalog: there is no organisation/organisation.yaml"),
    ],
)
def test_wrong_use(store: Store, options: list[str], said: str) -> None:
    done = run(store, *options)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert store.calls == []


def test_by_hand_too_late_is_refused(store: Store) -> None:
    hour = last_hour() - 30 * HOUR
    store.add(FINE, CHECKOUT, hour, STACKS)
    done = run(store, f"--hour={instant(hour)}")
    assert done.exit_code == 1
    assert "too late" in done.stderr
    assert LONG not in store.tenants


def test_by_hand_what_cannot_be_seen_is_not_called_merged(store: Store) -> None:
    done = run(store, f"--hour={instant(last_hour() - 31 * 24 * HOUR)}", "--team=payments")
    assert done.exit_code == 1
    assert "is older than fine profiles are kept of payments (30 days)" in done.stderr
    assert store.calls == []
    assert run(store, f"--hour={instant(last_hour() - 29 * 24 * HOUR)}", "--team=payments").exit_code == 0


def test_an_open_hour_waits(store: Store) -> None:
    """A profile may come in up to an hour late; what was merged before would lack it for good."""
    store.add(FINE, CHECKOUT, last_hour() + HOUR + 5, STACKS)
    assert run(store).exit_code == 0
    assert LONG not in store.tenants


def test_the_edges_of_an_hour(store: Store) -> None:
    hour = last_hour() - 2 * HOUR
    for at, value in ((hour - 1, 1), (hour, 10), (hour + HOUR - 1, 100), (hour + HOUR, 1000)):
        store.add(FINE, CHECKOUT, at, {("f",): value})
    assert run(store).exit_code == 0
    assert {one.time: one.total for one in store.tenants[LONG]} == {hour - HOUR: 1, hour: 110, hour + HOUR: 1000}


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


def test_a_type_that_nobody_decided_on_is_told(store: Store) -> None:
    store.add(FINE, CHECKOUT, last_hour(), STACKS, "odd:temperature:kelvin:odd:count")
    done = run(store)
    assert done.exit_code == 1
    assert "odd:temperature:kelvin:odd:count" in done.stderr
    assert "flameplane/downsample/types.py" in done.stderr
    assert LONG not in store.tenants


def test_a_double_is_told(store: Store) -> None:
    """It cannot be taken back; nobody should take it for the truth."""
    hour = last_hour()
    store.add(FINE, CHECKOUT, hour, STACKS)
    for _ in range(2):
        store.add(LONG, {**CHECKOUT, "resolution": "1h"}, hour, STACKS, pushed=int(time.time() * 1000))
    done = run(store)
    assert done.exit_code == 1
    assert f"checkout {CPU} {instant(hour)}: 1000 fine, 2000 hourly: the tiers do not agree" in done.stderr


@pytest.mark.parametrize(("kind", "said"), [(CPU, "720000 more to merge; not pushed"), (INUSE, "lack 1; not pushed")])
def test_a_label_that_is_kept_since_does_not_count_hours_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    """An earlier version of the job did not tell profiles apart by the region."""
    for at in range(last_hour(), last_hour() + HOUR, 5_000):
        store.add(FINE, {**CHECKOUT, "region": "eu", "pod": "a"}, at, STACKS, kind)
    with monkeypatch.context() as earlier:
        for module in ("ledger", "merge", "latest"):
            earlier.setattr(f"flameplane.downsample.{module}.KEPT", tuple(name for name in KEPT if name != "region"))
        assert run(store).exit_code == 0
    before = store.total(LONG, kind)
    done = run(store)
    assert done.exit_code == 1
    assert f"checkout {kind} {instant(last_hour())}: " in done.stderr
    assert f"{said}: the tiers do not agree" in done.stderr
    assert store.total(LONG, kind) == before > 0


def test_one_failure_stops_nobody_else(store: Store) -> None:
    hour = last_hour()
    store.add(FINE, CHECKOUT, hour, STACKS)
    store.add("catalog", {"service_name": "catalog-api", "team": "catalog"}, hour, STACKS)
    failed = []

    def once(method: str) -> None:
        if method == "SelectMergeProfile" and not failed:
            failed.append(method)
            raise Refused(400, "internal", "the index is gone")

    store.before = once
    done = run(store, "--parallel=1")
    assert done.exit_code == 3
    assert "SelectMergeProfile: the index is gone (internal)" in done.stderr
    assert store.calls.count("Push") == 1
    assert f"merged until {instant(hour)}" in done.stdout


def test_one_bad_label_set_blocks_no_neighbour(store: Store) -> None:
    hour = last_hour()
    for version in ("1", "2", "3"):
        store.add(FINE, {**CHECKOUT, "version": version}, hour, STACKS)

    def first(method: str) -> None:
        if method == "SelectMergeProfile" and store.calls.count(method) == 1:
            raise Refused(400, "internal", "the index is gone")

    store.before = first
    done = run(store)
    assert done.exit_code == 3
    assert "the index is gone (internal) (and 2 label sets of it are merged)" in done.stderr
    assert [one.labels["version"] for one in store.tenants[LONG]] == ["2", "3"]
    assert f"merged until {instant(hour)}" in done.stdout


def test_a_mistake_of_the_job_stops_no_other_item(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = last_hour()
    store.add(FINE, CHECKOUT, hour, STACKS)
    store.add("catalog", {"service_name": "catalog-api", "team": "catalog"}, hour, STACKS)

    def broken(tiers: Tiers, item: Item, dry_run: bool) -> Merged:
        if item.service == "checkout":
            raise ValueError("not what was thought")
        return merge(tiers, item, dry_run)

    monkeypatch.setattr("flameplane.downsample.run.merge", broken)
    done = run(store)
    assert done.exit_code == 3
    assert f"payments: checkout {CPU} {instant(hour)}: ValueError: not what was thought" in done.stderr
    assert list(store.tenants) == [FINE, "catalog", "catalog-longterm"]


def test_what_is_not_seen_afterwards_is_a_failure(store: Store) -> None:
    pods(store, last_hour())
    store.after = lambda method: store.tenants.pop(LONG, None) if method == "Push" else None
    done = run(store)
    assert done.exit_code == 3
    assert "pushed 720000, and the long tier shows 0" in done.stderr


def test_busy_is_asked_again(store: Store) -> None:
    pods(store, last_hour())
    busy = ["ProfileTypes", "SelectSeries", "SelectMergeProfile", "Push"]

    def refuse(method: str) -> None:
        if method in busy:
            busy.remove(method)
            raise Refused(429, "resource_exhausted", "too many requests of this tenant")

    store.before = refuse
    done = run(store, "--team=payments")
    assert done.exit_code == 0, done.output
    assert busy == []
    assert len(store.tenants[LONG]) == 1


def test_no_gateway_is_a_failure_of_one_line_a_team(store: Store) -> None:
    done = CliRunner().invoke(app, ["downsample", "--gateway=http://127.0.0.1:1", "--team=payments", "--parallel=1"])
    assert done.exit_code == 3
    assert done.stderr.count("\n") == 1
    assert "http://127.0.0.1:1 cannot be reached" in done.stderr


def test_a_token_that_is_not_there(store: Store) -> None:
    done = CliRunner().invoke(app, ["downsample", f"--gateway={store.url}", "--gateway-token=/none", "--team=payments"])
    assert done.exit_code == 3
    assert "cannot read /none: No such file or directory" in done.stderr


def test_only_so_many_at_once(store: Store) -> None:
    hour, lock, now, most = last_hour(), threading.Lock(), 0, 0
    for n in range(24):
        store.add(FINE, {**CHECKOUT, "service_name": f"s{n}"}, hour, STACKS)

    def enter(method: str) -> None:
        nonlocal now, most
        if method == "SelectMergeProfile":
            with lock:
                now, most = now + 1, max(most, now + 1)
            time.sleep(0.02)

    def leave(method: str) -> None:
        nonlocal now
        if method == "SelectMergeProfile":
            with lock:
                now -= 1

    store.before, store.after = enter, leave
    assert run(store, "--parallel=3").exit_code == 0
    assert len(store.tenants[LONG]) == 24
    assert 1 < most <= 3
