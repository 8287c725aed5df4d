"""Profiles go in and out through the gateway of the local platform: real tokens, a real pod's profile, real pods.

Proves that the agent's account writes to the tenant of a declared team and reads nothing, that a job reads it there and
nowhere else, that every answer is on the record, and that the network probe finds out what this cluster is like: it
stores NetworkPolicies and enforces none. Proves nothing about people, whose identity provider is not there.
"""

import json
import re
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from door_client import FUNCTION, Door, push, stacks, waiting_pod
from platform_client import Platform
from typer.testing import CliRunner

from flameplane.cli import app
from schemas.allowed import ACCESS_NAMESPACE, SYSTEM_NAMESPACE


@pytest.fixture(scope="module")
def door(platform: Platform) -> Door:
    return Door(platform)


@pytest.fixture(scope="module")
def agent(door: Door) -> str:
    return door.agent()


@pytest.fixture(scope="module")
def reader(door: Door) -> Iterator[str]:
    with door.drift() as token:
        yield token


@pytest.fixture(scope="module")
def pushed(door: Door, agent: str) -> dict[str, int]:
    return door.push_checkout(agent)


def test_what_the_agent_pushes_a_job_reads(door: Door, pushed: dict[str, int], reader: str) -> None:
    status, answer = door.post(*stacks("payments", pushed), reader)
    assert status == 200, answer
    assert FUNCTION in answer["flamegraph"]["names"]
    assert int(answer["flamegraph"]["total"]) > 0


def test_another_teams_tenant_has_nothing_of_it(door: Door, pushed: dict[str, int], reader: str) -> None:
    status, answer = door.post(*stacks("catalog", pushed), reader)
    assert status == 200, answer
    assert int(answer.get("flamegraph", {}).get("total", 0)) == 0


def test_who_may_not_read_reads_nothing(door: Door, pushed: dict[str, int], agent: str) -> None:
    assert door.post(*stacks("payments", pushed))[0] == 401
    assert door.post(*stacks("payments", pushed), agent)[0] == 403
    assert door.post(*stacks("payments", pushed), "not.a.token")[0] == 401


def test_a_team_that_is_not_declared_gets_no_tenant(door: Door, agent: str) -> None:
    status, said = door.post("/push.v1.PusherService/Push", push(b"x", "marketing"), agent)
    assert status == 403, said


def test_every_answer_is_on_the_record(platform: Platform, door: Door, pushed: object, tmp_path: Path) -> None:
    """As many lines as answers, in a chain that verifies: from the log of the pod, as a log collector has it."""
    [status] = waiting_pod(platform, ACCESS_NAMESPACE, "app.kubernetes.io/name=gateway")["status"]["containerStatuses"]
    assert not status["restartCount"], status  # the lines until then are in another log
    log = platform.call("logs", f"--namespace={ACCESS_NAMESPACE}", "deployment/gateway", "--tail=-1")
    assert log.ok, log.err
    lines = [line for line in log.out.splitlines() if line.startswith('{"chain":')]
    file = tmp_path / "chain.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines))
    verified = CliRunner().invoke(app, ["audit", "verify", str(file)])
    assert verified.exit_code == 0, verified.output
    on_record = [uid for line in lines if (uid := json.loads(line).get("http_request", {}).get("uid"))]
    assert door.answered
    assert {uid: on_record.count(uid) for uid in door.answered} == dict.fromkeys(door.answered, 1)


def test_the_probe_says_that_this_cluster_enforces_nothing(platform: Platform) -> None:
    where = f"--namespace={SYSTEM_NAMESPACE}"
    said = ""
    for _ in range(30):
        said = platform.call("logs", where, "--selector=app.kubernetes.io/name=network-probe", "--tail=-1").out
        if "NOT enforced" in said:
            break
        time.sleep(1)
    assert "NetworkPolicies are NOT enforced: the cluster's network plugin ignores them" in said
    pod = waiting_pod(platform, SYSTEM_NAMESPACE, "app.kubernetes.io/name=network-probe")
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:4041/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    found = dict(re.findall(r'^flameplane_network_policies_enforced\{direction="(\w+)"\} (\d)$', metrics, re.MULTILINE))
    assert found == {"ingress": "0", "egress": "0"}


def test_the_downsampling_job_runs_to_its_end(platform: Platform, pushed: object) -> None:
    """No hour is closed yet since the first push: it looks, through the gateway, and has nothing to merge."""
    name, where = f"downsample-{uuid.uuid4().hex[:8]}", f"--namespace={SYSTEM_NAMESPACE}"
    assert platform.call("create", "job", name, "--from=cronjob/flameplane-downsample", where).ok
    try:
        done = platform.call("wait", f"job/{name}", "--for=condition=complete", "--timeout=120s", where)
        log = platform.call("logs", f"job/{name}", where).out
        assert done.ok, done.err + log
        assert re.search(r"^downsample: 5 teams, .* 0 failed, 0 hours too late, merged until ", log, re.MULTILINE), log
    finally:
        platform.call("delete", "job", name, where, "--wait=false")
