"""The node agent under what nodes do to it: processes that end at once, many of them, many pods, no gateway, time.

Proves that it is the same container afterwards, with the same pins, no more open files and no more memory, and that
what was lost is counted. FLAMEPLANE_SOAK=<minutes> makes the last test as long as asked; it is NOT RUN otherwise, as
is the one with 100 pods.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from agent_client import Agent, eventually, memory_group
from door_client import CPU, Door, stacks
from platform_client import BROKEN_GLASS, Platform

from local.cluster.components import PAUSE_IMAGE
from schemas.allowed import ACCESS_NAMESPACE

SOAK = float(os.environ.get("FLAMEPLANE_SOAK", "0"))
POD_BYTES = 160 << 20  # of the whole pod, BPF maps included (docs/agent.md)
OWN_BYTES = 64 << 20  # of the agent's container: Go's limit, and what Go does not count
LEAK_BYTES = 16 << 20  # more than a pass of Go's garbage collector leaves behind
FILES = 10  # connections that come and go
asked = pytest.mark.skipif(not SOAK, reason="NOT RUN: FLAMEPLANE_SOAK=<minutes> asks for it")


@dataclass(frozen=True)
class Held:
    """What the agent holds: memory of its pod and of its own container in bytes, open files, pins, starts."""

    pod: int
    own: int
    files: int
    pins: dict[str, int]
    restarts: int

    def endured(self, before: "Held", what: str) -> None:
        """It is as it was, but for the tables of new programs, which the agent keeps up to a bound of its own."""
        figures = (
            f"{what}: pod {self.pod >> 20} MB (before {before.pod >> 20}), "
            f"agent {self.own >> 20} MB ({before.own >> 20}), files {self.files} ({before.files})"
        )
        print(figures)
        assert (self.restarts, self.pins) == (before.restarts, before.pins), figures
        assert self.pod < POD_BYTES, figures
        assert self.own < OWN_BYTES, figures
        assert (self.pod - self.own) - (before.pod - before.own) < LEAK_BYTES, figures
        assert self.files - before.files < FILES, figures


def held(agent: Agent) -> Held:
    (pid,) = agent.processes()
    own = memory_group(pid)
    pod = type(own)(own.folder.parent, own.version)
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Held(pod.held(), own.held(), files, agent.pins(), agent.container()["restartCount"])


@pytest.fixture(scope="module")
def agent(platform: Platform) -> Agent:
    agent = Agent(platform)
    agent.samples_on()
    return agent


@contextmanager
def churn(a_minute: float = 1000) -> Iterator[None]:
    """Processes that end at once."""
    ended = threading.Event()

    def start() -> None:
        while not ended.wait(60 / a_minute):
            subprocess.run(["/bin/true"], check=True)

    thread = threading.Thread(target=start)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_processes_that_end_at_once(agent: Agent) -> None:
    with churn():
        time.sleep(15)
        before, kept = held(agent), agent.kept()
        time.sleep(45)
        held(agent).endured(before, "1,000 processes a minute")
        assert agent.kept() > kept


def test_five_hundred_processes_at_once(agent: Agent) -> None:
    before, kept = held(agent), agent.kept()
    busy = ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 60"]
    crowd = [subprocess.Popen(busy) for _ in range(500)]
    try:
        time.sleep(20)
        held(agent).endured(before, "500 processes")
        eventually("it counts on", lambda: agent.kept() > kept)
    finally:
        for each in crowd:
            each.kill()
        for each in crowd:
            each.wait()


def test_no_gateway_for_a_while(platform: Platform, agent: Agent) -> None:
    """What waits to be sent is bounded, what is dropped is counted, and profiles flow when there is one again."""
    seconds = 300 if SOAK else 60
    before, failures = held(agent), agent.total("flameplane_agent_push_failures_total")
    with scaled(platform, 0):
        eventually("pushes fail", lambda: agent.total("flameplane_agent_push_failures_total") > failures)
        time.sleep(seconds)
        waiting = agent.metric("flameplane_agent_push_queue_bytes")
        held(agent).endured(before, f"no gateway for {seconds} s, {waiting / 1e6:.1f} MB waiting")
        assert waiting > 0
    eventually("what waited is sent", lambda: agent.metric("flameplane_agent_push_queue_bytes") < waiting / 2, 180)
    door, since = Door(platform), int(time.time() * 1000)
    with door.drift() as token:

        def flows() -> bool:
            path, query = stacks("payments", {"start": since - 15_000, "end": since + 600_000})
            status, said = door.post(path, {**query, "profileTypeID": CPU}, token)
            return status == 200 and int(said.get("flamegraph", {}).get("total", 0)) > 0

        eventually("profiles of now", flows)
    held(agent).endured(before, "the gateway is back")


@contextmanager
def scaled(platform: Platform, replicas: int) -> Iterator[None]:
    """The gateway with so many replicas; as it was, afterwards."""
    name = ("deployment/gateway", f"--namespace={ACCESS_NAMESPACE}")
    was = platform.get("deployment", "gateway", name[1])["spec"]["replicas"]

    def scale(to: int) -> None:
        done = platform.call("scale", *name, f"--replicas={to}", *BROKEN_GLASS)
        assert done.ok, done.err

    scale(replicas)
    try:
        yield
    finally:
        scale(was)
        eventually(
            "the gateway is there",
            lambda: platform.get("deployment", "gateway", name[1])["status"].get("readyReplicas"),
        )


@asked
def test_a_node_with_a_hundred_pods(platform: Platform, agent: Agent) -> None:
    before, kept = held(agent), agent.kept()
    running = ("pods", "--all-namespaces", "--field-selector=status.phase=Running")
    others = len(platform.kubectl.get(*running, doing="count pods"))
    with crowd(platform, 100 - others):
        eventually("100 pods", lambda: len(platform.kubectl.get(*running, doing="count pods")) >= 100, 900)
        time.sleep(30)
        held(agent).endured(before, "100 pods")
        assert agent.kept() > kept


@contextmanager
def crowd(platform: Platform, pods: int) -> Iterator[None]:
    """A namespace with so many pods that do nothing."""
    labels = {"app": "crowd"}
    container = {"name": "pause", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "crowd", "namespace": "crowd"},
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "crowd"}}
    for item in (namespace, deployment):
        made = platform.call("create", objects=[item])
        assert made.ok, made.err
    try:
        yield
    finally:
        platform.call("delete", "namespace", "crowd", "--wait=false")


@asked
def test_it_soaks(agent: Agent) -> None:
    """With processes that end at once all the while. A leak would show from the first quarter to the end."""
    with churn():
        time.sleep(SOAK * 60 / 4)
        before, kept = held(agent), agent.kept()
        time.sleep(SOAK * 60 * 3 / 4)
        after = held(agent)
        after.endured(before, f"{SOAK:g} minutes")
        assert after.pod - before.pod < LEAK_BYTES
        assert agent.kept() > kept
