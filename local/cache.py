"""Where everything that is built or unpacked lies, and how a thing is built exactly once.

The cache is one folder; deleting it (with the cluster down) undoes all that `local` ever made.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

log = logging.getLogger("flameplane.local")

KEY_LENGTH = 16  # hex digits of SHA-256 kept in a folder's name: 64 bits, no two things in one cache share them


def root() -> Path:
    """$FLAMEPLANE_CACHE, else flameplane/ in $XDG_CACHE_HOME, else ~/.cache/flameplane. Read at every call."""
    if own := os.environ.get("FLAMEPLANE_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).absolute() if base else Path.home() / ".cache") / "flameplane"


def key(*parts: str | bytes) -> str:
    """A short name for a list of inputs. Lengths are hashed too, so ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:KEY_LENGTH]


def tree(*folders: Path, skip: Callable[[Path], bool] = lambda _: False) -> str:
    """A key of all files below the folders: their paths and contents, without compiled Python (`__pycache__`)."""
    parts: list[str | bytes] = []
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if "__pycache__" not in file.parts and not skip(file):
                parts += [file.relative_to(folder).as_posix(), file.read_bytes()]
    return key(*parts)


@contextlib.contextmanager
def lock(target: Path) -> Iterator[None]:
    """Hold `target` against other runs. The kernel drops the lock with the process, so a killed run blocks nobody."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("Waiting for another run that is making %s", target.name)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def build_once(target: Path, build: Callable[[Path], object]) -> Path:
    """`target`, made by `build` the first time it is asked for.

    `build` gets a path beside the target where nothing is yet, and makes the file or folder there; only a complete one
    is renamed to `target`. What an interrupted run left is removed by the next.
    """
    if target.exists():
        return target
    with lock(target):
        if target.exists():
            return target
        partial = target.parent / f".{target.name}.partial"
        remove(partial)
        try:
            build(partial)
            partial.rename(target)
        except BaseException:
            remove(partial)
            raise
    return target


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
