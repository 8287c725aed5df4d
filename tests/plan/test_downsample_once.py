"""Nothing is merged twice, whatever is lost, runs beside it or was merged by an earlier version; a double is told."""

import time

import pytest
from downsampled import CHECKOUT, FINE, LONG, STACKS, last_hour, pods, run
from pprof_samples import CPU, INUSE
from profile_store import HOUR, Refused, Store

from flameplane.downsample.hours import instant
from flameplane.downsample.labels import KEPT


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
