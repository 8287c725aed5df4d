"""Whether this machine can run the cluster; one message lists everything that is missing."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from local import LocalError
from local.cluster import cgroups, sampling
from local.cluster.processes import find_tool, tool

TOOLS = (
    "apt-config",
    "apt-get",
    "chroot",
    "dpkg",
    "dpkg-deb",
    "mount",
    "nsenter",
    "pivot_root",
    "sh",
    "sleep",
    "tar",
    "unshare",
)
GIB = 1024**3
MEMORY = 2 * GIB  # available: the cluster takes half of it, the rest is for pods
DISK_TO_BUILD = 9 * GIB  # packages, Go modules, and the build cache that is removed again
DISK_TO_RUN = 2 * GIB
ELSEWHERE = (
    "Elsewhere the platform runs on kind (with Docker and kind on PATH), or on a cluster of yours that you name by "
    "--kubeconfig."
)
# A throwaway mount namespace: shows the rights, the kernel's overlayfs, and that it can lie on the cache's file system.
TRY_OVERLAY = (
    'cd "$1" && mkdir -p lower upper work merged && '
    "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged && mount -t bpf bpf lower"
)


class CannotRun(LocalError):
    """The machine lacks something; nothing was tried."""


def check_host() -> None:
    """Linux, root and tools: what every command needs."""
    if platform.system() != "Linux":
        raise CannotRun(f"The local cluster runs on Linux only, and this is {platform.system()}. {ELSEWHERE}")
    missing = []
    if os.geteuid() != 0:
        missing.append("root: it makes namespaces, mounts and a network interface (use sudo, or a root shell)")
    if tools := [name for name in TOOLS if not find_tool(name)]:
        missing.append(f"on PATH: {', '.join(tools)} (packages apt, dpkg, tar, coreutils, util-linux and mount)")
    _refuse(missing)


def check_sampling() -> None:
    """Whether the node agent can sample on this kernel: without it nothing gets Ready, minutes later."""
    if problem := sampling.problem():
        raise CannotRun(problem)


def check_room(folder: Path, built: bool) -> None:
    """Kernel features, memory and disk, before something is built or started in `folder`."""
    missing = []
    if controllers := cgroups.missing_controllers():
        missing.append(f"cgroup controllers below /sys/fs/cgroup: {', '.join(sorted(controllers))}")
    if problem := _try_mounts(folder):
        missing.append(f"namespaces and the file systems overlay and bpf: {problem}")
    available = _available_memory()
    if available < MEMORY:
        missing.append(f"memory: {MEMORY / GIB:.0f} GiB available, and there are {available / GIB:.1f}")
    free, needed = shutil.disk_usage(folder).free, DISK_TO_RUN if built else DISK_TO_BUILD
    if free < needed:
        missing.append(f"disk: {needed / GIB:.0f} GiB free in {folder}, and there are {free / GIB:.1f}")
    _refuse(missing)


def _refuse(missing: list[str]) -> None:
    if missing:
        listed = "".join(f"\n  - {line}" for line in missing)
        raise CannotRun(f"This machine cannot run the local cluster. Missing:{listed}\n{ELSEWHERE}")


def _try_mounts(folder: Path) -> str:
    """What the kernel said, or nothing when all went well."""
    trial = folder / ".preflight"
    trial.mkdir(parents=True, exist_ok=True)
    words = [tool("unshare"), "--net", "--mount", "--uts", "--propagation=private", "--"]
    script = [tool("sh"), "-c", TRY_OVERLAY, "sh", str(trial)]
    done = subprocess.run([*words, *script], capture_output=True, text=True, check=False)
    shutil.rmtree(trial)
    return done.stderr.strip().replace("\n", " ") if done.returncode else ""


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
