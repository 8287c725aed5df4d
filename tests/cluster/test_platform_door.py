"""Profiles go in and out through the gateway of the local platform: real tokens, a real pod's profile, real pods.

Proves that the agent's account writes to the tenant of a declared team and reads nothing, that a job reads it there and
nowhere else, that every answer is on the record, and that the network probe finds out what this cluster is like: it
stores NetworkPolicies and enforces none. Proves nothing about people, whose identity provider is not there.
"""

import base64
import json
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from platform_client import Platform
from typer.testing import CliRunner

from flameplane.cli import app
from flameplane.local.kubectl import Object
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, SYSTEM_NAMESPACE

AUDIENCE = "flameplane-gateway"
FUNCTION = "main.(*till).signOrder"  # what the demo service checkout spends its time in
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
QUERIER = "querier.v1.QuerierService"


class Door:
    """The gateway's Service, as a client in the cluster sees it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        spec = platform.get("service", "gateway", f"--namespace={ACCESS_NAMESPACE}")["spec"]
        self.url = f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"
        self.answered: list[str] = []

    def token(self, namespace: str, pod: Object) -> str:
        """A token of the pod's account, bound to the pod, as the kubelet mounts it."""
        metadata = pod["metadata"]
        result = self.platform.call(
            *("create", "token", pod["spec"]["serviceAccountName"], f"--namespace={namespace}"),
            *(f"--audience={AUDIENCE}", "--bound-object-kind=Pod"),
            *(f"--bound-object-name={metadata['name']}", f"--bound-object-uid={metadata['uid']}"),
        )
        assert result.ok, result.err
        return result.out.strip()

    def post(self, path: str, body: Any, token: str = "") -> tuple[int, Any]:
        """Status and answer of one call in Connect's JSON."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.answered.append(answer.headers["X-Request-Id"])
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            if error.headers["X-Request-Id"]:
                self.answered.append(error.headers["X-Request-Id"])
            return error.code, error.read().decode()


def waiting_pod(platform: Platform, namespace: str, app_name: str) -> Object:
    """A pod of a program, whether or not its image can be run here."""
    for _ in range(30):
        if found := platform.kubectl.get(
            "pods", f"--namespace={namespace}", f"--selector=app.kubernetes.io/name={app_name}", doing="find a pod"
        ):
            return found[0]
        time.sleep(1)
    pytest.fail(f"no pod of {app_name}")


@pytest.fixture(scope="module")
def door(platform: Platform) -> Door:
    return Door(platform)


@pytest.fixture(scope="module")
def agent(platform: Platform, door: Door) -> str:
    return door.token(AGENT_NAMESPACE, waiting_pod(platform, AGENT_NAMESPACE, "flameplane-node"))


@pytest.fixture(scope="module")
def reader(platform: Platform, door: Door) -> Iterator[str]:
    """A token of the drift job, which reads every tenant: of a pod that its CronJob makes."""
    name, where = f"drift-{uuid.uuid4().hex[:8]}", f"--namespace={SYSTEM_NAMESPACE}"
    made = platform.call("create", "job", name, "--from=cronjob/flameplane-drift", where)
    assert made.ok, made.err
    yield door.token(SYSTEM_NAMESPACE, waiting_pod(platform, SYSTEM_NAMESPACE, "flameplane-drift"))
    platform.call("delete", "job", name, where, "--wait=false")


@pytest.fixture(scope="module")
def pushed(platform: Platform, door: Door, agent: str) -> dict[str, Any]:
    """Three seconds of the demo service checkout, stored as the agent would; the window to look in."""
    pods = platform.kubectl.get("pods", "--all-namespaces", "--selector=app.kubernetes.io/name=checkout", doing="find")
    (pod,) = [pod for pod in pods if pod["status"]["phase"] == "Running"]
    address = pod["status"]["podIP"]
    with urllib.request.urlopen(f"http://{address}:6060/debug/pprof/profile?seconds=3", timeout=30) as answer:
        profile = answer.read()
    status, said = door.post("/push.v1.PusherService/Push", push(profile, "payments"), agent)
    assert status == 200, said
    now = int(time.time() * 1000)
    return {"start": now - 600_000, "end": now + 60_000}


def push(profile: bytes, team: str) -> dict[str, Any]:
    labels = {"__name__": "process_cpu", "service_name": "checkout", "team": team}
    sample = {"rawProfile": base64.b64encode(profile).decode(), "ID": str(uuid.uuid4())}
    return {"series": [{"labels": [{"name": k, "value": v} for k, v in labels.items()], "samples": [sample]}]}


def stacks(tenant: str, window: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    query = {"profileTypeID": CPU, "labelSelector": '{service_name="checkout"}', **window}
    return f"/tenant/{tenant}/{QUERIER}/SelectMergeStacktraces", query


def test_what_the_agent_pushes_a_job_reads(door: Door, pushed: dict[str, Any], reader: str) -> None:
    status, answer = door.post(*stacks("payments", pushed), reader)
    assert status == 200, answer
    assert FUNCTION in answer["flamegraph"]["names"]
    assert int(answer["flamegraph"]["total"]) > 0


def test_another_teams_tenant_has_nothing_of_it(door: Door, pushed: dict[str, Any], reader: str) -> None:
    status, answer = door.post(*stacks("catalog", pushed), reader)
    assert status == 200, answer
    assert int(answer.get("flamegraph", {}).get("total", 0)) == 0


def test_who_may_not_read_reads_nothing(door: Door, pushed: dict[str, Any], agent: str) -> None:
    assert door.post(*stacks("payments", pushed))[0] == 401
    assert door.post(*stacks("payments", pushed), agent)[0] == 403
    assert door.post(*stacks("payments", pushed), "not.a.token")[0] == 401


def test_a_team_that_is_not_declared_gets_no_tenant(door: Door, agent: str) -> None:
    status, said = door.post("/push.v1.PusherService/Push", push(b"x", "marketing"), agent)
    assert status == 403, said


def test_every_answer_is_on_the_record(platform: Platform, door: Door, pushed: object, tmp_path: Path) -> None:
    """As many lines as answers, in a chain that verifies: from the log of the pod, as a log collector has it."""
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
    pod = waiting_pod(platform, SYSTEM_NAMESPACE, "network-probe")
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
        assert re.search(r"^downsample: 4 teams, .* 0 failed, 0 hours too late, merged until ", log, re.MULTILINE), log
    finally:
        platform.call("delete", "job", name, where, "--wait=false")
