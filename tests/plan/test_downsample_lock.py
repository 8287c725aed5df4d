"""One run at a time: the Lease that a run holds, against a stand-in of the API server (lease_server.py)."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from downsampled import CHECKOUT, FINE, LONG, STACKS, last_hour, pods, run
from lease_server import NAME, Leases, leases
from profile_store import Store

from flameplane import plan
from flameplane.downsample import lock
from flameplane.downsample.lock import SECONDS, Api, NotTaken, held


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Leases]:
    with leases(tmp_path / "account") as found:
        monkeypatch.setattr(lock, "in_cluster", lambda: found.api)
        yield found


def other(ago: float, seconds: int = SECONDS, holder: str = "another-pod") -> dict[str, Any]:
    """A Lease that another run took so many seconds ago."""
    at = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds, "acquireTime": at, "renewTime": at}
    return {"metadata": {"name": NAME}, "spec": spec}


def test_a_run_holds_it_while_it_pushes_and_gives_it_back(store: Store, cluster: Leases) -> None:
    pods(store, last_hour())
    holders = []
    store.before = lambda method: holders.append(cluster.holder) if method == "Push" else None
    for _ in range(2):  # the second finds a Lease that nobody holds
        done = run(store, f"--lease={NAME}")
        assert done.exit_code == 0, done.output
        assert not done.stderr
    (holder,) = holders
    assert holder
    assert cluster.holder == ""
    assert cluster.verbs == ["GET", "POST", "PUT", "GET", "PUT", "PUT"]


def test_who_is_told_to_end_gives_it_back(store: Store, cluster: Leases) -> None:
    """As a pod on a node that is drained. What was under way is pushed whole, and nothing after it is begun."""
    for hour in (last_hour(), last_hour() - 3600):
        pods(store, hour)
    store.before = lambda method: os.kill(os.getpid(), signal.SIGTERM) if method == "Push" else None
    done = run(store, f"--lease={NAME}", "--parallel=1")
    assert done.exit_code == 128 + signal.SIGTERM
    assert cluster.holder == ""
    assert len(store.tenants[LONG]) == 1
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_while_another_run_holds_it_nothing_is_begun(store: Store, cluster: Leases) -> None:
    pods(store, last_hour())
    cluster.store(other(ago=60))
    done = run(store, f"--lease={NAME}")
    assert done.exit_code == 3
    assert f"another run merges now: another-pod has the lock {NAME}, until" in done.stderr
    assert store.calls == []
    assert cluster.holder == "another-pod"


@pytest.mark.parametrize("lease", [other(SECONDS + 1), other(1, holder=""), {"metadata": {"name": NAME}}])
def test_a_lease_that_ran_out_or_is_nobodys_is_taken(store: Store, cluster: Leases, lease: dict[str, Any]) -> None:
    """Of a pod that died: no longer than the deadline of its job."""
    pods(store, last_hour())
    cluster.lease = {**lease, "metadata": {"name": NAME, "resourceVersion": "7"}}
    assert run(store, f"--lease={NAME}").exit_code == 0
    assert len(store.tenants[LONG]) == 1
    assert cluster.holder == ""


def test_two_that_begin_at_once_do_not_both_get_it(cluster: Leases) -> None:
    def take(_: int) -> bool:
        try:
            stack.enter_context(held(NAME, cluster.api))
        except NotTaken:
            return False
        return True

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


@pytest.mark.parametrize("there", [False, True])
def test_somebody_faster_has_it(cluster: Leases, there: bool) -> None:
    """Between the question and the answer: another run makes the Lease, or takes the one that is there."""
    if there:
        cluster.store(other(SECONDS + 1))

    def faster(verb: str) -> None:
        if verb != "GET" and cluster.holder != "faster":
            cluster.store(other(ago=0, holder="faster"))

    cluster.before = faster
    with pytest.raises(NotTaken, match="another run merges now: faster has"), held(NAME, cluster.api):
        pytest.fail("it was taken twice")
    assert cluster.holder == "faster"


def test_what_another_run_took_since_is_not_given_back(cluster: Leases) -> None:
    with held(NAME, cluster.api):
        cluster.store(other(ago=0, holder="later"))
    assert cluster.holder == "later"


def test_a_run_that_fails_gives_it_back(store: Store, cluster: Leases) -> None:
    store.add(FINE, CHECKOUT, last_hour(), STACKS)

    def mistake(method: str) -> None:
        raise RuntimeError(method)

    with pytest.raises(RuntimeError), held(NAME, cluster.api):
        mistake("Push")
    assert cluster.holder == ""


@pytest.mark.parametrize("refusal", [403, 500])
def test_without_an_answer_nothing_is_merged(store: Store, cluster: Leases, refusal: int) -> None:
    pods(store, last_hour())
    cluster.refusal = refusal
    done = run(store, f"--lease={NAME}")
    assert done.exit_code == 3
    assert f"the API server does not give the lock: {refusal} leases is forbidden" in done.stderr
    assert store.calls == []


def test_where_there_is_no_api_server(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "account").mkdir()
    for file in ("token", "namespace"):
        (tmp_path / "account" / file).write_text("x")
    monkeypatch.setattr(lock, "in_cluster", lambda: Api("http://127.0.0.1:1", tmp_path / "account"))
    done = run(store, f"--lease={NAME}")
    assert done.exit_code == 3
    assert "the API server cannot be asked for the lock" in done.stderr


def test_outside_of_the_cluster_it_is_said_that_there_is_no_lock(store: Store) -> None:
    done = run(store, f"--lease={NAME}")
    assert done.exit_code == 3
    assert "outside of the cluster there is no lock: leave out --lease" in done.stderr
    assert store.calls == []
    done = run(store)
    assert done.exit_code == 0
    assert "without --lease no lock is taken" in done.stderr
    assert not run(store, "--dry-run").stderr


def test_after_its_time_a_run_begins_nothing(store: Store, cluster: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod without the job's deadline would go on while the next run has the lock."""
    pods(store, last_hour())
    monkeypatch.setattr(lock, "SECONDS", -1)
    monkeypatch.setattr(lock, "_spec", lambda holder, _: other(0, holder=holder)["spec"])
    done = run(store, f"--lease={NAME}")
    assert done.exit_code == 3
    assert "the time of this run is over; the next one merges it" in done.stderr
    assert "Push" not in store.calls


@pytest.mark.parametrize("host", ["10.96.0.1", "fd00::1"])
def test_where_a_pod_finds_it(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert lock.in_cluster().url == f"https://{f'[{host}]' if ':' in host else host}:6443"


def test_the_deadline_ends_a_holder_before_its_lease_does(root: Path) -> None:
    jobs = [m for r in plan.record(root, "prod").resources if (m := plan.manifest(r)) and m["kind"] == "CronJob"]
    (job,) = [m for m in jobs if m["metadata"]["name"] == NAME]
    assert job["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= SECONDS
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert f"--lease={NAME}" in container["args"]
    assert str(lock.SERVICE_ACCOUNT) in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert SECONDS < 3600  # the next one on time finds it run out
