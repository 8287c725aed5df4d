"""A machine of its own for a kernel that is not this one's: qemu, the kernel's image, and a few files in memory.

qemu computes every instruction itself, and its clock counts them: a second in there is a number of instructions,
whatever else this machine does. So nothing is needed of it (no /dev/kvm, no root), and CPU time in there is exact.
It has a second CPU, which stays offline until its first program brings it online.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import LocalError, cache, debian
from local.images.libraries import dynamic_loader

MOUNTED = ("dev", "proc", "run", "sys", "tmp")
MEMORY = "1536M"
SPEED = 3  # 2^3 ns an instruction: 125 million a second
MAGIC, AT_MAGIC = b"HdrS", slice(0x202, 0x206)  # of the head of an x86 kernel's image (its boot protocol)
AT_VERSION, BEFORE_VERSION = slice(0x20E, 0x210), 0x200  # where the image says its version, less so many bytes


def kernel(package: str) -> Path:
    """The kernel of a package or a metapackage, in the cache. Of its modules nothing is kept."""
    target = cache.root() / "guest" / f"kernel-{cache.key(*debian.resolve([package]))}"

    def keep(partial: Path) -> None:
        unpacked = debian.unpack("kernel", [package])
        partial.mkdir(parents=True)
        (image,) = [*unpacked.glob("boot/vmlinuz-*"), *unpacked.glob("usr/lib/modules/*/vmlinuz")]  # from Debian 14 on
        image.rename(partial / image.name)
        cache.remove(unpacked)

    return next(cache.build_once(target, keep).glob("vmlinuz*"))


def version(image: Path) -> tuple[int, int]:
    """(6, 1), of an image that says that it is "6.1.0-56-cloud-amd64 (...) #1 SMP ..."."""
    with image.open("rb") as opened:
        head = opened.read(1 << 16)
    text = head[int.from_bytes(head[AT_VERSION], "little") + BEFORE_VERSION :]
    found = re.match(rb"(\d+)\.(\d+)\.", text)
    if head[AT_MAGIC] != MAGIC or not found:
        raise LocalError(f"{image} is no image of an x86 kernel (a file such as /boot/vmlinuz-6.1.0-56-cloud-amd64).")
    return int(found[1]), int(found[2])


def files(contents: Mapping[str, Path], links: Mapping[str, str]) -> bytes:
    """What the machine has instead of a disk: a cpio archive as the kernel unpacks it ("newc"). All may be executed."""
    above = {str(folder) for name in [*contents, *links, *MOUNTED] for folder in (Path(name) / "_").parents}
    folders = [_entry(folder, 0o40755, b"") for folder in sorted(above - {".", *contents, *links})]
    inside = [_entry(name, 0o100755, file.read_bytes()) for name, file in contents.items()]
    pointing = [_entry(name, 0o120777, target.encode()) for name, target in links.items()]
    return b"".join([*folders, *inside, *pointing, _entry("TRAILER!!!", 0, b"")])


def _entry(name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    # inode, mode, uid, gid, links, time, size, device (2), device it is of (2), length of the name, checksum
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + path
    return _even(head) + _even(content)


def _even(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % 4)


def run(image: Path, disk: Path, arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> str:
    """What the machine says on its console until it switches itself off. /init is its first and only program."""
    root = debian.unpack("qemu", ["qemu-system-x86"])
    loader, _ = dynamic_loader(root)
    library = next(root.glob("usr/lib/*-linux-gnu*/qemu")).parent
    firmware = [root / "usr/share" / folder for folder in ("qemu", "seabios")]
    told = [f"{name}={value}" for name, value in environment.items()]
    line = " ".join(["console=ttyS0", "panic=-1", "quiet", "maxcpus=1", *told, "--", *arguments])
    command = [
        *(loader, "--inhibit-cache", "--library-path", library, root / "usr/bin/qemu-system-x86_64"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"),
        *("-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", MEMORY, "-icount", f"shift={SPEED},sleep=off"),
        *(part for folder in firmware for part in ("-L", folder)),
        *("-kernel", image, "-initrd", disk, "-append", line),
    ]
    known = {**os.environ, "QEMU_MODULE_DIR": str(library / "qemu")}
    words = [str(part) for part in command]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(words, env=known, text=True, errors="replace", **both) as machine:
        try:
            return machine.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            machine.kill()
            return machine.communicate()[0] + f"\nguest: it ran for {timeout} s, and was ended"
