"""`flameplane downsample` against a stand-in of the gateway and Pyroscope (profile_store.py): which hours become what.

The other rules: test_downsample_{once,latest,types,failures,job}.py. What Pyroscope itself does with it, and the real
gateway, prove test_downsample_door.py and the upstream tier.
"""

import pytest
from downsampled import CHECKOUT, FINE, LONG, STACKS, last_hour, pods, run
from pprof_samples import ALLOC, CPU
from profile_store import HOUR, Store

from flameplane.downsample.hours import instant


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
