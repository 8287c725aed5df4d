"""Long-lived processes: started detached in our control groups, and recognised again by pid and start time."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local import LocalError
from local.cluster.layout import NODE_PATH

SHOWN_LINES = 12  # of a component's log when it ended

# Enters each control group named before `--`; START then leaves the rest running and prints its pid. A shell, because
# the move must happen between fork and exec, and a Python hook there is unsafe in a program with threads.
ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 1; shift; done; shift; '
START = f'umask 022; {ENTER}"$@" >&2 & echo $!'
# What programs of the node get; nothing of the caller's (proxies, library paths, kubeconfigs).
ENVIRONMENT = {"PATH": NODE_PATH, "HOME": "/root", "LC_ALL": "C"}


@dataclass(frozen=True)
class Process:
    """A pid alone may be another program's after a while, or after a reboot."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return _started(self.pid) == self.started


def _started(pid: int) -> str | None:
    """Boot id and start time in clock ticks; None when there is no such process or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" else f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{start}"


def find_tool(name: str) -> str | None:
    """The absolute path of a program of the host; root's PATH may lack the sbin folders."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin")


def tool(name: str) -> str:
    """The same where it must be there."""
    found = find_tool(name)
    if not found:
        raise LocalError(f"The program `{name}` is not on PATH.")
    return found


def spawn(command: Sequence[str], *, groups: Sequence[Path], log: Path) -> Process:
    """Start `command` in a session of its own; its output is appended to `log`. Our environment is not passed on."""
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [tool("sh"), "-c", START, "sh", *map(str, groups), "--", *command]
    with log.open("ab") as output:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            env=ENVIRONMENT,
            start_new_session=True,
            check=False,
        )
    pid = int(done.stdout) if done.returncode == 0 else 0
    started = _started(pid) if pid else None
    if started is None:
        raise LocalError(f"Could not start `{' '.join(command)}`.{tail(log)}")
    return Process(pid, started)


def inside(command: Sequence[str], groups: Sequence[Path]) -> list[str]:
    """`command` in our control groups: the end of the cluster finds it there, also when whoever started it is gone."""
    return [tool("sh"), "-c", f'{ENTER}exec "$@"', "sh", *map(str, groups), "--", *command]


def tail(log: Path) -> str:
    """The end of a log, indented, for an error message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in [f"The end of {log}:", *lines])
