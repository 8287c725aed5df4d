"""What goes wrong with one team, service or label set stops no other, and the exit code says so."""

import threading
import time

import pytest
from downsampled import CHECKOUT, FINE, LONG, STACKS, last_hour, pods, run
from pprof_samples import CPU
from profile_store import Refused, Store
from typer.testing import CliRunner

from flameplane.cli import app
from flameplane.downsample.hours import instant
from flameplane.downsample.ledger import Item, Tiers
from flameplane.downsample.merge import Merged, merge


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
    lock, said = done.stderr.splitlines()
    assert "no lock is taken" in lock
    assert "http://127.0.0.1:1 cannot be reached" in said


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
