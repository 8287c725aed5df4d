"""The node agent in its DaemonSet: what it may do, whose profiles it brings, and that it comes back by itself."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_client import LIVENESS, ROUND, WHERE, Agent, eventually, memory_group
from door_client import FUNCTION, QUERIER, Door, stacks
from platform_client import Platform
from processes import processes_of, status_of

from components.node_agent_pod import RECEIVER_UID
from schemas.allowed import AGENT_UID

PERFMON = 1 << 38
ALLOCATED = "memory:alloc_space:bytes:space:bytes"


@pytest.fixture(scope="module")
def agent(platform: Platform) -> Agent:
    agent = Agent(platform)
    agent.samples_on()
    return agent


@pytest.mark.parametrize(("name", "held", "uid"), [("agent", PERFMON, AGENT_UID), ("receiver", 0, RECEIVER_UID)])
def test_cap_perfmon_and_nothing_else(agent: Agent, name: str, held: int, uid: int) -> None:
    """Of every thread: in Go each may be the one that makes a call."""
    (pid,) = agent.processes(name)
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    assert len(threads) > 1
    for thread in threads:
        found = status_of(thread)
        sets = {name: int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        assert sets == {"CapInh": 0, "CapPrm": held, "CapEff": held, "CapBnd": held, "CapAmb": 0}
        assert found["Uid"].split() == found["Gid"].split() == [str(uid)] * 4
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert Path(f"/proc/{pid}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink()
    assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def test_the_loader_is_gone(agent: Agent) -> None:
    (loader,) = agent.pod()["status"]["initContainerStatuses"]
    assert loader["state"]["terminated"]["exitCode"] == 0
    container = loader["containerID"].rpartition("/")[2]
    assert processes_of(container) == []


def _services(platform: Platform) -> dict[str, str]:
    """Demo service that runs -> its team, of those whose CPU the agent brings."""
    maps = platform.kubectl.get("configmaps", WHERE, doing="find what is declared")
    (text,) = [one["data"]["services.json"] for one in maps if "services.json" in one.get("data", {})]
    pods = platform.kubectl.get(
        "pods", "--all-namespaces", "--field-selector=status.phase=Running", doing="find what runs"
    )
    running = {(p["metadata"]["namespace"], p["metadata"]["labels"].get("app.kubernetes.io/name")) for p in pods}
    declared = [one for one in json.loads(text)["services"] if one["cpuSource"] == "ebpf"]
    return {one["service"]: one["team"] for one in declared if (one["namespace"], one["service"]) in running}


def test_each_service_is_in_its_teams_tenant_and_in_no_other(platform: Platform, agent: Agent) -> None:
    door, services = Door(platform), _services(platform)
    now = int(time.time() * 1000)
    window = {"start": now - 3_600_000, "end": now + 60_000}
    with door.drift() as token:

        def seen(team: str) -> set[str]:
            path = f"/tenant/{team}/{QUERIER}/LabelValues"
            status, said = door.post(path, {"name": "service_name", **window}, token)
            assert status == 200, said
            return set(said.get("names", []))

        assert services
        eventually("all are there", lambda: all(name in seen(team) for name, team in services.items()))
        for team in set(services.values()):
            assert seen(team) <= {name for name, owner in services.items() if owner == team}
        undeclared = eventually("the nodes' own processes", lambda: "node" in seen("platform") and seen("platform"))
        assert undeclared.isdisjoint(services)
        assert all("/" in name for name in undeclared - {"node"})


def test_the_profile_of_a_go_service_names_its_functions(platform: Platform, agent: Agent) -> None:
    door = Door(platform)
    with door.drift() as token:
        eventually("where checkout spends its time", lambda: FUNCTION in agent.sampled(door, token), 2 * ROUND)


def test_what_is_allocated_comes_by_the_receiver(platform: Platform, agent: Agent) -> None:
    """It scrapes what the service declares, and sends what was allocated between two scrapes."""
    door = Door(platform)
    with door.drift() as token:

        def names() -> set[str]:
            now = int(time.time() * 1000)
            path, query = stacks("payments", {"start": now - 3_600_000, "end": now + 60_000})
            status, said = door.post(path, {**query, "profileTypeID": ALLOCATED}, token)
            assert status == 200, said
            return set(said.get("flamegraph", {}).get("names", []))

        eventually("what checkout allocates", lambda: FUNCTION in names(), 2 * ROUND)


def test_waits_are_told_of_services_that_ask_for_it(platform: Platform, agent: Agent) -> None:
    door = Door(platform)
    with door.drift() as token:

        def waits(team: str) -> bool:
            now = int(time.time() * 1000)
            window = {"start": now - 3_600_000, "end": now + 60_000}
            status, said = door.post(f"/tenant/{team}/{QUERIER}/ProfileTypes", window, token)
            assert status == 200, said
            return any(one["name"] == "off_cpu" for one in said.get("profileTypes", []))

        eventually("what checkout waits for", lambda: waits("payments"))
        assert not waits("storefront")  # whose web-bff runs, and does not ask


def killed(agent: Agent) -> None:
    (pid,) = agent.processes()
    os.kill(pid, signal.SIGKILL)


def hung(agent: Agent) -> None:
    """The liveness probe finds it."""
    (pid,) = agent.processes()
    os.kill(pid, signal.SIGSTOP)


def out_of_memory(agent: Agent) -> None:
    """Its container may have no more than it has: the next page is one too many."""
    (pid,) = agent.processes()
    group = memory_group(pid)
    group.limit.write_text(group.usage.read_text() if group.version == 1 else "1048576")


@pytest.mark.parametrize("ended", [killed, out_of_memory, hung])
def test_it_comes_back_by_itself(agent: Agent, ended: Callable[[Agent], None]) -> None:
    """On the pins that are there: the loader does not run again in the same pod."""
    pod, before = agent.pod()["metadata"]["uid"], agent.container()
    ended(agent)
    eventually("another container", lambda: agent.container().get("restartCount", 0) > before["restartCount"], LIVENESS)
    agent.samples_on()
    assert agent.pod()["metadata"]["uid"] == pod
    if ended is out_of_memory:
        assert agent.container()["lastState"]["terminated"]["reason"] == "OOMKilled"


def test_an_upgrade_replaces_programs_and_agent(platform: Platform, agent: Agent) -> None:
    before, pinned = agent.pod()["metadata"]["uid"], agent.pins()
    restarted = platform.call("rollout", "restart", "daemonset/flameplane-node", WHERE)
    assert restarted.ok, restarted.err
    eventually("another pod", lambda: _uid(agent) not in ("", before), LIVENESS)
    agent.samples_on()
    after = agent.pins()
    assert set(after) == set(pinned)
    assert not set(after.values()) & set(pinned.values())


def _uid(agent: Agent) -> str:
    try:
        return str(agent.pod()["metadata"]["uid"])
    except ValueError:
        return ""  # none, while one goes and the next comes
