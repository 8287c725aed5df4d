"""The project as a git ref has it, in a folder of its own. Git is only read: no checkout, no index, no worktree."""

import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_OPTIONS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")  # nothing of the user's runs


class NoBase(Exception):
    """The ref cannot be compared with; the message says why and what to do."""


@dataclass(frozen=True)
class Base:
    """A git ref: as it was asked for, its commit, and a folder with the project's files of it."""

    ref: str
    commit: str
    root: Path


@contextmanager
def materialised(root: Path, ref: str) -> Iterator[Base]:
    """The project of ``ref`` for the time of the block. Raises ``NoBase``."""
    commit, prefix = _commit(root, ref), _git(root, "rev-parse", "--show-prefix").decode().strip()
    archive = _git(root, "archive", "--format=tar", f"{commit}:{prefix}" if prefix else commit)
    with tempfile.TemporaryDirectory(prefix="flameplane-base-") as folder:
        # "data": neither links nor names that lead out of the folder, whatever the ref holds.
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            try:
                files.extractall(folder, filter="data")
            except tarfile.FilterError as error:
                raise NoBase(f"{ref} holds a file that leads out of the project: {error}") from None
        if not (Path(folder) / "Pulumi.yaml").is_file():
            raise NoBase(f"{ref} has no Pulumi.yaml here: the project did not exist yet; name a later ref")
        yield Base(ref, commit, Path(folder).resolve())


def _commit(root: Path, ref: str) -> str:
    try:
        _git(root, "rev-parse", "--git-dir")
    except NoBase:
        raise NoBase(f"{root.name} is not in a git repository, so there is no {ref} to compare with") from None
    if not ref or ref.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]", ref):
        raise NoBase(f"{ref!r} is no git ref: name a branch, a tag or a commit, as in origin/main")
    try:
        found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except NoBase:
        if _git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
            fix = "this clone is shallow: run `git fetch --unshallow`, or in CI check out with fetch-depth: 0"
        elif ref == "HEAD":
            fix = "the repository has no commit yet"
        else:
            remote, _, branch = ref.partition("/")
            fetch = f"git fetch {remote} {branch}" if branch else f"git fetch origin {ref}"
            fix = f"check the spelling, or run `{fetch}` first"
        raise NoBase(f"there is no commit {ref}; {fix}") from None
    return found.decode().strip()


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *_OPTIONS, *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise NoBase("there is no git on PATH; --base needs it") from None
    if done.returncode:
        raise NoBase(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed")
    return done.stdout
