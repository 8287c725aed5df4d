"""Node profilers as processes of this machine, each in a memory group of its own: what they cost while they sample."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
STATS: Final = Path("/proc/sys/kernel/bpf_stats_enabled")  # the kernel measures its BPF programs while it is 1
STARTED: Final = 90.0  # seconds until a profiler samples: the verifier reads OpenTelemetry's programs for 10
_FIELD: Final = re.compile(r"^(prog_id|prog_type|run_time_ns|run_cnt):\s*(\d+)$", re.MULTILINE)
_PERF_EVENT: Final = "7"  # BPF_PROG_TYPE_PERF_EVENT


@dataclass(frozen=True)
class Cost:
    """``cpu`` of the process and ``kernel`` of its BPF programs in seconds, in ``wall`` seconds, ``sampling`` of
    it for ``samples``; ``memory`` of its group and ``resident`` of the process in bytes, at the end."""

    wall: float
    cpu: float
    kernel: float
    sampling: float
    samples: int
    memory: int
    resident: int


@dataclass(frozen=True)
class Profiler:
    """``before`` ends before ``command`` is started, in the same memory group, as an init container does."""

    name: str
    command: Sequence[str]
    before: Sequence[str] = ()


class DidNotStart(Exception):
    """The profiler ended, or took no sample. The text is what it said."""


def measured(profiler: Profiler, seconds: float, folder: Path) -> Cost:
    """Start it, let it settle, and measure it for so many seconds."""
    with _group(f"flameplane-bench-{os.getpid()}") as (join, memory):
        log = folder / "log"
        with log.open("wb") as out:
            if profiler.before:
                done = subprocess.run([*join, *profiler.before], stdout=out, stderr=out, check=False)
                if done.returncode:
                    raise DidNotStart(_last(log))
            child = subprocess.Popen([*join, *profiler.command], stdout=out, stderr=out)
            try:
                _sampling(child, log)
                time.sleep(seconds / 3)  # programs that it meets for the first time are read once
                start, cpu, kernel = time.monotonic(), _cpu(child.pid), _bpf(child.pid)
                time.sleep(seconds)
                wall, spent, ran = time.monotonic() - start, _cpu(child.pid) - cpu, _bpf(child.pid) - kernel
                return Cost(wall, spent, ran.seconds, ran.sampling, ran.samples, memory(), _resident(child.pid))
            finally:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def _sampling(child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED
    first = None
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise DidNotStart(_last(log))
        taken = _bpf(child.pid).samples
        if first is not None and taken > first + 100:
            return
        first = taken if first is None and taken else first
        time.sleep(0.2)
    raise DidNotStart(f"no sample within {STARTED:.0f} s: {_last(log)}")


def _last(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@dataclass(frozen=True)
class _Kernel:
    """``seconds`` of all BPF programs of a process; ``sampling`` seconds and ``samples`` of those that a clock runs."""

    seconds: float
    sampling: float
    samples: int

    def __sub__(self, other: "_Kernel") -> "_Kernel":
        return _Kernel(self.seconds - other.seconds, self.sampling - other.sampling, self.samples - other.samples)


def _bpf(pid: int) -> _Kernel:
    """Of the programs that a process holds open; each once, however often it is open."""
    found: dict[str, tuple[bool, float, int]] = {}
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            values = dict(_FIELD.findall(file.read_text()))
        except OSError:  # closed meanwhile
            continue
        if "prog_type" in values:  # a link has a prog_id too
            clock = values["prog_type"] == _PERF_EVENT
            found[values["prog_id"]] = (clock, int(values["run_time_ns"]) / 1e9, int(values["run_cnt"]))
    clocks = [(seconds, runs) for clock, seconds, runs in found.values() if clock]
    return _Kernel(sum(s for _, s, _ in found.values()), sum(s for s, _ in clocks), sum(r for _, r in clocks))


@contextmanager
def _group(name: str) -> Iterator[tuple[Sequence[str], Callable[[], int]]]:
    """A memory cgroup (version 1 or 2): what runs a command in it, and the bytes that are charged to it."""
    first = Path("/sys/fs/cgroup/memory")
    root, used = (first, "memory.usage_in_bytes") if first.is_dir() else (Path("/sys/fs/cgroup"), "memory.current")
    group = root / name
    group.mkdir()
    try:
        yield (
            ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"),
            lambda: int((group / used).read_text()),
        )
    finally:
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text().strip() and time.monotonic() < deadline:
            time.sleep(0.1)
        group.rmdir()
