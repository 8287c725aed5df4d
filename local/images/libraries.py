"""The shared libraries that programs of an unpacked Debian root need, so that an image can hold these and no more."""

import os
import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from local import LocalError, debian
from local.process import run

FOUND = re.compile(r"^\t(?:\S+ => )?(/.+) \(0x[0-9a-f]+\)$", re.MULTILINE)
PT_INTERP = 3
UNWINDER = "libgcc_s.so.1"  # no program names it, but glibc loads it when it ends a thread


def closure(root: Path, programs: Iterable[Path], own: Sequence[Path] = ()) -> dict[str, Path]:
    """Path in the image -> library, for dynamically linked `programs` below `root`, the loader included.

    The root's own loader lists them without running anything. Libraries in the folders `own` go where the program goes,
    so they are not named.
    """
    loader, called = dynamic_loader(root)
    folders = [*own, *sorted((root / "usr/lib").glob("*-linux-gnu*"))]
    command: list[str | Path] = [loader, "--inhibit-cache", "--library-path", ":".join(map(str, folders)), "--list"]
    libraries = {called: loader}
    for folder in folders:
        if (unwinder := folder / UNWINDER).exists():
            libraries[f"/{unwinder.relative_to(root)}"] = unwinder
    for program in programs:
        listed = run([*command, program], doing=f"list the libraries of {program.name}", env={"LC_ALL": "C"})
        for name in FOUND.findall(listed):
            library = Path(os.path.normpath(name))  # $ORIGIN makes paths such as bin/../lib
            if not library.is_relative_to(root):
                raise LocalError(f"{program.name} needs {library.name}, which none of its packages has.")
            path = f"/{library.relative_to(root)}"
            if library.parent not in own and library != loader:
                libraries[path] = debian.inside(root, path)
    return libraries


def dynamic_loader(root: Path) -> tuple[Path, str]:
    """The dynamic loader, and the path in the image by which programs name it."""
    for folder in ("lib64", "lib"):  # amd64, arm64
        for link in sorted((root / folder).glob("ld-linux-*.so.*")):
            path = f"/{folder}/{link.name}"
            return debian.inside(root, path), path
    raise LocalError(f"No dynamic loader below {root}: libc6 is not among the unpacked packages.")


def interpreter(program: Path) -> str | None:
    """The loader that a 64-bit ELF program names: empty when it is static, None when it is no such program."""
    with program.open("rb") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":
            return None
        (table,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<2H", header, 54)
        for index in range(count):
            file.seek(table + index * size)
            segment = file.read(size)
            if struct.unpack_from("<I", segment)[0] == PT_INTERP:
                offset, length = struct.unpack_from("<Q", segment, 8)[0], struct.unpack_from("<Q", segment, 32)[0]
                file.seek(offset)
                return file.read(length).rstrip(b"\0").decode()
    return ""
