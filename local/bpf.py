"""BPF programs compiled with clang: one object per `*.bpf.c`, for every kernel that has BTF (CO-RE).

clang comes from PATH, else from Debian's package, unpacked into the cache. Nothing but the compiler is taken: the
sources declare what they use of the kernel themselves.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from local import LocalError, cache, debian
from local.images.libraries import dynamic_loader
from local.process import run

PACKAGES = ("clang",)
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-warning-option", "-Wno-unused-const-variable"]
# With v3 the verifier sees 32-bit arithmetic as such (Linux 5.1); -g makes the BTF by which types are found when the
# program is loaded.
FLAGS = ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-nostdinc", "-fdebug-compilation-dir=.", *WARNINGS]


def compile_all(folder: Path) -> dict[str, Path]:
    """File name (`sampler.bpf.o`) -> object, for all sources of a folder. Nothing is written into that folder."""
    sources = cache.tree(folder, skip=lambda file: file.suffix not in (".c", ".h"))
    key = cache.key(sources, *FLAGS, *compiler())
    target = cache.root() / "bpf" / f"{folder.name}-{key}"
    objects = sorted(cache.build_once(target, lambda partial: _compile(folder, partial)).glob("*.bpf.o"))
    if not objects:
        raise LocalError(f"There is no *.bpf.c in {folder}.")
    return {each.name: each for each in objects}


def compiler() -> Sequence[str]:
    """What there is to compile with: the version of the clang on PATH, or the packages. Without either, an error."""
    if installed := shutil.which("clang"):
        return [run([installed, "--version"], doing="ask clang for its version")]
    return debian.resolve(PACKAGES)


def overlay(module: Path, folder: str) -> dict[Path, Path]:
    """The objects of a folder of a Go module, by the paths where that module embeds them."""
    return {module / folder / name: built for name, built in compile_all(module / folder).items()}


def _compile(folder: Path, out: Path) -> None:
    """All sources, into the folder `out`. The compiler is bigger than all that is built: it does not stay unpacked."""
    installed = shutil.which("clang")
    root = None if installed else debian.unpack("clang", PACKAGES)
    clang = _unpacked(root) if root else [installed or "clang"]
    out.mkdir(parents=True)
    for source in sorted(folder.glob("*.bpf.c")):
        target = out / f"{source.stem}.o"
        run([*clang, *FLAGS, "-c", source.name, "-o", target], doing=f"compile {source.name}", cwd=folder)
    if root:
        cache.remove(root)


def _unpacked(root: Path) -> Sequence[str | Path]:
    """The package's clang, run by its own loader with its own libraries."""
    program = debian.inside(root, "/usr/bin/clang")
    folders = [*sorted((root / "usr/lib").glob("*-linux-gnu*")), program.parent.parent / "lib"]
    loader, _ = dynamic_loader(root)
    return [loader, "--inhibit-cache", "--library-path", ":".join(map(str, folders)), program]
