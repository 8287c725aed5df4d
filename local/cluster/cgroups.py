"""The control groups of the cluster: how its processes are found again, and where the kubelet puts pods.

In every hierarchy lies `<name>/node` (our own long-lived processes) and `<name>/pods` (the kubelet's cgroupRoot), so
that whatever the cluster started is below one folder and nothing else is. Handles cgroup v1, hybrid (v1 controllers
and an empty v2 tree) and v2.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from local import LocalError

NEEDED = {"cpu", "cpuset", "memory", "pids"}  # without these the kubelet does not start
WANTED = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")  # what v2 hands to pods where the kernel has it
TERM_SECONDS = 3.0  # the API server would wait a minute for its watches
KILL_SECONDS = 10.0


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup tree."""

    mount: Path
    v2: bool
    controllers: frozenset[str]


def hierarchies(mountinfo: str | None = None) -> list[Hierarchy]:
    """The cgroup trees below /sys/fs/cgroup, from /proc/self/mountinfo."""
    found = []
    for line in (mountinfo or Path("/proc/self/mountinfo").read_text()).splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        mount = Path(before.split()[4])
        if not mount.is_relative_to("/sys/fs/cgroup"):
            continue
        if kind == "cgroup2":
            file = mount / "cgroup.controllers"
            controllers = file.read_text().split() if file.exists() else []
            found.append(Hierarchy(mount, True, frozenset(controllers)))
        elif kind == "cgroup":
            found.append(Hierarchy(mount, False, frozenset(options.split(","))))
    return found


def missing_controllers() -> set[str]:
    """What the kubelet needs and no mounted tree has."""
    return NEEDED - {controller for hierarchy in hierarchies() for controller in hierarchy.controllers}


def create(name: str) -> list[Path]:
    """Make our groups everywhere; the `node` groups that a process of ours has to enter."""
    entered = []
    for hierarchy in hierarchies():
        top = hierarchy.mount / name
        groups = (top, top / "node", top / "pods")
        if hierarchy.v2:
            _delegate(hierarchy.mount, hierarchy.controllers)
        for group in groups:
            try:
                group.mkdir(exist_ok=True)
            except OSError as error:
                raise LocalError(
                    f"Cannot make the control group {group}: {error.strerror}. The cgroup trees must be writable "
                    "(in a container: run it privileged)."
                ) from error
            if "cpuset" in hierarchy.controllers and not hierarchy.v2:
                # A v1 cpuset is empty when made, and no process can enter it.
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (group / file).write_text((group.parent / file).read_text())
        if hierarchy.v2:
            _delegate(top, hierarchy.controllers)
        entered.append(top / "node")
    return entered


def _delegate(group: Path, controllers: frozenset[str]) -> None:
    """Let the children of a v2 group use its controllers; the kernel refuses it where the group holds processes."""
    file = group / "cgroup.subtree_control"
    enabled = set(file.read_text().split())
    for controller in WANTED:
        if controller not in controllers or controller in enabled:
            continue
        try:
            file.write_text(f"+{controller}")
        except OSError as error:
            if controller in NEEDED:
                raise LocalError(
                    f"Cannot hand the cgroup controller `{controller}` to the cluster: writing {file} failed "
                    f"({error.strerror}). In a container, move its processes out of the root group first: "
                    f"mkdir {group}/init, then write each pid of {group}/cgroup.procs into {group}/init/cgroup.procs."
                ) from error


def pids(name: str) -> set[int]:
    """Every process in our groups, whichever tree shows it."""
    found: set[int] = set()
    for hierarchy in hierarchies():
        for group in _groups(hierarchy.mount / name):
            # Away in the meantime, or a threaded group.
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in (group / "cgroup.procs").read_text().split())
    return found - {0, os.getpid()}  # 0: a process that this pid namespace does not see


def end(name: str) -> None:
    """End every process of ours by pid (TERM, then KILL) and remove the groups."""
    deadline = time.monotonic() + TERM_SECONDS
    _signal(pids(name), signal.SIGTERM)
    while pids(name) and time.monotonic() < deadline:
        time.sleep(0.05)
    deadline = time.monotonic() + KILL_SECONDS
    while left := pids(name):
        if time.monotonic() > deadline:
            raise LocalError(f"Processes of the local cluster do not end: {sorted(left)}. They may hang in the kernel.")
        _signal(left, signal.SIGKILL)
        time.sleep(0.05)
    _remove(name)


def _signal(targets: set[int], number: signal.Signals) -> None:
    for pid in targets:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _remove(name: str) -> None:
    deadline = time.monotonic() + KILL_SECONDS
    for hierarchy in hierarchies():
        top = hierarchy.mount / name
        while top.exists():
            for group in reversed(_groups(top)):
                # It stays busy for a moment after its last process ended.
                with contextlib.suppress(OSError):
                    group.rmdir()
            if top.exists():
                if time.monotonic() > deadline:
                    raise LocalError(f"Cannot remove the control group {top}: it is still in use.")
                time.sleep(0.05)


def _groups(top: Path) -> list[Path]:
    """A group and all below it, parents first; those that vanish meanwhile are skipped (os.walk ignores errors)."""
    return [Path(folder) for folder, _, _ in os.walk(top)]
