"""The node agent in its DaemonSet, as its tests look at it: its pod, its processes, its metrics, its memory."""

import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from door_client import Door, stacks
from platform_client import Platform
from processes import processes_of

from flameplane.local.kubectl import Object
from schemas.allowed import AGENT_NAMESPACE

LIVENESS = 3 * 30 + 60  # seconds: of the probe, and for a new container
ROUND = 90  # for pod lists, readings and pushes


WHERE = f"--namespace={AGENT_NAMESPACE}"
SELECTED = "--selector=app.kubernetes.io/name=flameplane-node"


def eventually(what: str, true: Callable[[], Any], seconds: float = ROUND) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)
    return found


class Agent:
    """The one agent pod of the one node."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def pod(self) -> Object:
        """The pod that is not on its way out."""
        pods = self.platform.kubectl.get("pods", WHERE, SELECTED, doing="find the agent")
        (found,) = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return found

    def container(self, name: str = "agent") -> Object:
        statuses = self.pod()["status"].get("containerStatuses", [])
        return next((one for one in statuses if one["name"] == name), {})

    def processes(self, name: str = "agent") -> list[int]:
        """Ids on the node, which are the machine's: the node has no process namespace of its own."""
        container = self.container(name).get("containerID", "").rpartition("/")[2]
        return sorted(int(folder.name) for folder in processes_of(container)) if container else []

    def metric(self, name: str) -> float:
        """A sample of /metrics by name and labels as they are written there; 0 when nobody answers yet."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.page(), re.MULTILINE)
        return float(found[1]) if found else 0

    def page(self) -> str:
        """/metrics; nothing when nobody answers yet."""
        try:
            url = f"http://{self.pod()['status']['podIP']}:4041/metrics"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except (OSError, KeyError):
            return ""

    def kept(self) -> float:
        return self.metric('flameplane_agent_ticks_total{outcome="kept"}')

    def samples_on(self) -> None:
        """It is ready, and its counts grow."""
        eventually("the container is ready", lambda: self.container().get("ready"), LIVENESS)
        before = eventually("it counts", self.kept)
        eventually("it counts on", lambda: self.kept() > before)

    def pins(self) -> dict[str, int]:
        """What the loader left on the node, and which one it is."""
        (pid,) = self.processes()
        return {file.name: file.stat().st_ino for file in Path(f"/proc/{pid}/root/bpf").iterdir()}

    def sampled(self, door: Door, token: str) -> set[str]:
        """Functions of checkout's CPU time, as this agent sampled them and the backend has them."""
        now = int(time.time() * 1000)
        path, query = stacks("payments", {"start": now - 3_600_000, "end": now + 60_000})
        selector = f'{{service_name="checkout",pod=~"checkout-.+",node="{self.pod()["spec"]["nodeName"]}"}}'
        status, said = door.post(path, {**query, "labelSelector": selector}, token)
        assert status == 200, said
        return set(said.get("flamegraph", {}).get("names", []))

    def total(self, name: str) -> float:
        """The sum of a metric over its labels."""
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.page(), re.MULTILINE))


@dataclass(frozen=True)
class MemoryGroup:
    """A control group that holds memory, of either version of cgroups."""

    folder: Path
    version: int

    @property
    def limit(self) -> Path:
        return self.folder / ("memory.limit_in_bytes" if self.version == 1 else "memory.max")

    @property
    def usage(self) -> Path:
        return self.folder / ("memory.usage_in_bytes" if self.version == 1 else "memory.current")

    def held(self) -> int:
        """Bytes that are charged to it but for files that nobody reads any more: what the kubelet goes by."""
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return int(self.usage.read_text()) - int(stat["total_inactive_file" if self.version == 1 else "inactive_file"])


def memory_group(pid: int) -> MemoryGroup:
    """That of a process: its container's. The folder above is its pod's."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return MemoryGroup(Path(f"/sys/fs/cgroup/memory{path}"), 1)
        if not controllers and Path("/sys/fs/cgroup/cgroup.controllers").exists():
            return MemoryGroup(Path(f"/sys/fs/cgroup{path}"), 2)
    raise AssertionError(f"process {pid} is in no memory group")
