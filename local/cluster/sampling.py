"""Whether this machine's kernel gives the node agent what it samples by, before anything is built for it.

The agent holds CAP_PERFMON alone. Above 2, `kernel.perf_event_paranoid` means what a distribution made of it: Debian's
and Ubuntu's kernels ask for CAP_SYS_ADMIN then, later ones may not, and mainline knows no such level. So the kernel
itself is asked, and the setting only explains what it says.
"""

import ctypes
import os
import platform
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

LEVEL: Final = "proc/sys/kernel/perf_event_paranoid"
HIGHEST: Final = 2  # that mainline knows, and its default
PERFMON: Final = 38  # number of the capability
CALLS: Final = {"x86_64": 298, "aarch64": 241}  # perf_event_open(2)
ASK: Final = (sys.executable, "-I", __file__)  # apart: capabilities that are given up do not come back


def problem(root: Path = Path("/"), ask: tuple[str, ...] = ASK) -> str:
    """Why nobody gets perf events by CAP_PERFMON here, and what to do; nothing where one does, or cannot be asked."""
    if platform.machine() not in CALLS:
        return ""
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    level = _level(root)
    lines = [f"The node agent holds CAP_PERFMON alone, and this kernel gives it no perf event: {said}."]
    if level <= HIGHEST:
        lines += [f"kernel.perf_event_paranoid is {level} and not it; a seccomp profile or a user namespace may be."]
    else:
        setting = f"kernel.perf_event_paranoid={HIGHEST}"
        lines += [
            f"kernel.perf_event_paranoid is {level}: above {HIGHEST}, Debian and Ubuntu ask for CAP_SYS_ADMIN. Set it:",
            f"  sysctl -w {setting}",
            f"  echo {setting} > /etc/sysctl.d/99-perf-events.conf  # and after the next boot",
        ]
    return "\n".join(lines)


def _level(root: Path) -> int:
    """What is set; as mainline's where nothing can be read."""
    try:
        return int((root / LEVEL).read_text())
    except (OSError, ValueError):
        return HIGHEST


def _open() -> None:
    """Give up all capabilities but the agent's, and open an event as the agent does: of all that runs on a CPU."""
    libc = ctypes.CDLL(None, use_errno=True)
    bit = 1 << PERFMON % 32  # of the second half of a set
    header = struct.pack("=Ii", 0x20080522, 0)  # version 3, this process
    sets = struct.pack("=6I", 0, 0, 0, bit, bit, 0)  # effective, permitted, inheritable
    clock = struct.pack("=IIQ", 1, 64, 0) + bytes(48)  # PERF_TYPE_SOFTWARE, first version's length, the CPU's clock
    cpu = min(os.sched_getaffinity(0))
    if libc.capset(header, sets) or libc.syscall(CALLS[platform.machine()], clock, -1, cpu, -1, 0) < 0:
        sys.exit(os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    _open()
