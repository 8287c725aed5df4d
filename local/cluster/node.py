"""The node: network, mount and host name namespaces of its own, whose root folder is made of unpacked packages.

No pid namespace: pods with hostPID and eBPF programs must see the machine's real process ids. The root folder is a
folder of ours with /etc and /var in it; /usr is the package tree, read-only, as in an immutable operating system.
All mounts live in the node's mount namespace and end with its last process.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local import LocalError
from local.cluster import network
from local.cluster.layout import HOST_ADDRESS, NAME, NODE_ADDRESS, NODE_BIN, NODE_NETWORK
from local.cluster.processes import ENVIRONMENT, Process, spawn, tool
from local.process import run

FOLDERS = (
    *("dev", "etc/cni/net.d", "etc/kubernetes/pki", "proc", "run", "sys", "tmp", "usr"),
    *("var/lib/containerd", "var/lib/etcd", "var/lib/flameplane", "var/lib/kubelet/seccomp", "var/log", "var/tmp"),
)
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin", "var/run": "/run"}
# Names that Debian makes in maintainer scripts, which do not run for unpacked packages.
ALTERNATIVES = {
    f"{family}{action}": f"/usr/sbin/{family}-nft{action}"
    for family in ("iptables", "ip6tables")
    for action in ("", "-save", "-restore")
}
NAMESPACE_SECONDS = 5.0
# The kubelet sets these for the whole machine, and does not start without them. The machine is the user's, so the node
# sees files of ours in their place, with the values that the kubelet wants; containers have a /proc of their own.
MACHINE_SETTINGS = {
    "kernel/keys/root_maxbytes": 25_000_000,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
}
SEEN_SETTINGS = "/etc/kubernetes/proc-sys"


@dataclass(frozen=True)
class Node:
    """The namespaces, held by one process that only sleeps."""

    holder: Process
    nsenter: str

    @classmethod
    def of(cls, holder: Process) -> "Node":
        """The node whose namespaces `holder` holds."""
        return cls(holder, tool("nsenter"))

    def command(self, *words: str) -> list[str]:
        """`words` to be run inside the node; the program by its absolute path there."""
        return [self.nsenter, f"--target={self.holder.pid}", "--net", "--mount", "--uts", "--", *words]

    def run(self, *words: str, doing: str) -> str:
        """Run a program of the node to its end, with nothing of our environment (proxies, library paths)."""
        return run(self.command(*words), doing=doing, env=ENVIRONMENT)


def write_disk(disk: Path, components: Sequence[str], files: dict[str, str]) -> None:
    """The node's root folder: its skeleton, the names of the combined binary, and configuration `files` by path."""
    for folder in FOLDERS:
        (disk / folder).mkdir(parents=True, exist_ok=True)
    binaries = disk / NODE_BIN.lstrip("/")
    binaries.mkdir(parents=True, exist_ok=True)
    (binaries / "kube").touch()  # the binary itself is mounted here
    links = {disk / name: target for name, target in LINKS.items()}
    links |= {binaries / name: target for name, target in ALTERNATIVES.items()}
    links |= {binaries / name: "kube" for name in components}
    for link, target in links.items():
        with contextlib.suppress(FileExistsError):
            link.symlink_to(target)
    settings = {f"{SEEN_SETTINGS}/{name}": f"{value}\n" for name, value in MACHINE_SETTINGS.items()}
    for name, text in {**files, **settings}.items():
        file = disk / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def start(disk: Path, tree: Path, kube: Path, *, groups: Sequence[Path], log: Path, owner: str) -> Node:
    """Make the namespaces, mount the node's root folder in them, and connect its network to the host's."""
    command = [tool("unshare"), "--net", "--mount", "--uts", "--propagation=private", "--", tool("sleep"), "infinity"]
    holder = spawn(command, groups=groups, log=log)
    node = Node.of(holder)
    _wait_for_namespaces(holder)
    _mount_root(node, disk, tree, kube)
    network.connect(tree, holder.pid, owner)
    _configure(node)
    return node


def _wait_for_namespaces(holder: Process) -> None:
    """`unshare` has made all its namespaces when it has become `sleep`."""
    deadline = time.monotonic() + NAMESPACE_SECONDS
    while not holder.alive() or Path(f"/proc/{holder.pid}/comm").read_text().strip() != "sleep":
        if not holder.alive() or time.monotonic() > deadline:
            raise LocalError("Could not make the node's namespaces: `unshare --net --mount --uts` failed.")
        time.sleep(0.01)


def _mount_root(node: Node, disk: Path, tree: Path, kube: Path) -> None:
    """Everything below the disk, then the disk becomes `/`. Before that, the programs used are the host's."""

    def mount(*words: str | Path) -> None:
        node.run(tool("mount"), *map(str, words), doing="mount the node's root folder")

    mount("--bind", disk, disk)
    mount("-o", "bind,ro", tree / "usr", disk / "usr")
    mount("-o", "bind,ro", kube, disk / NODE_BIN.lstrip("/") / "kube")
    mount("-t", "proc", "proc", disk / "proc")
    mount("-t", "sysfs", "sysfs", disk / "sys")
    mount("--rbind", "/sys/fs/cgroup", disk / "sys/fs/cgroup")
    mount("-t", "bpf", "bpf", disk / "sys/fs/bpf")
    mount("--rbind", "/dev", disk / "dev")
    for folder, mode in {"dev/shm": "1777", "run": "755", "tmp": "1777"}.items():
        mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", disk / folder)
    # The old root ends up on top of the new one, and is let go with everything that was mounted below it.
    script = 'cd "$1" && "$2" . . && umount --lazy .'
    node.run(tool("sh"), "-c", script, "sh", str(disk), tool("pivot_root"), doing="change the node's root folder")
    # Volumes that the kubelet mounts must reach containers that run already.
    node.run("/usr/bin/mount", "--make-rshared", "/", doing="share the node's mounts")


def _configure(node: Node) -> None:
    """Name, addresses and forwarding, by the programs of the unpacked packages."""
    for words in (
        ("/usr/sbin/sysctl", "--quiet", "--write", f"kernel.hostname={NAME}", "net.ipv4.ip_forward=1"),
        ("/usr/bin/ip", "link", "set", "dev", "lo", "up"),
        ("/usr/bin/ip", "address", "add", f"{NODE_ADDRESS}/{NODE_NETWORK.prefixlen}", "dev", "eth0"),
        ("/usr/bin/ip", "link", "set", "dev", "eth0", "up"),
        ("/usr/bin/ip", "route", "add", "default", "via", HOST_ADDRESS),
        *(("/usr/bin/mount", "--bind", f"{SEEN_SETTINGS}/{name}", f"/proc/sys/{name}") for name in MACHINE_SETTINGS),
    ):
        node.run(*words, doing="configure the node")
