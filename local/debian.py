"""Debian packages as a folder: the host's apt sources, but nothing installed and nothing of the host's apt written.

apt runs with a state and a cache of our own and an empty list of installed packages, so what it resolves is the whole
dependency closure (Depends and Pre-Depends, no Recommends). Taken from the host: its sources, keyrings, credentials,
pins and `Acquire` settings (proxy, TLS); not its hooks. Signatures are checked as always.

Limits: maintainer scripts do not run, so nothing they make exists: no alternatives (`/usr/bin/java`), no users in
`/etc/passwd`, no caches (`ld.so.cache`, CA bundle). Programs are called by the path that the package ships.
"""

import math
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from local import LocalError, cache
from local.process import run

LISTS_MAX_AGE = 30 * 24 * 3600  # seconds; after a month the package lists are fetched again
LISTS_RECENT = 3600  # seconds; fetching lists again that are newer than this would change nothing
MAX_LINKS = 40  # as the kernel has it
USRMERGE = ("bin", "lib", "lib64", "sbin")
# 'http://host/pool/x.deb' name_version_arch.deb 12345 SHA256:...
PRINTED_URI = re.compile(r"^'[^']+' (\S+) \d+ (\S*)$", re.MULTILINE)


def resolve(packages: Sequence[str]) -> list[str]:
    """File name (which holds the version) and checksum of every package of the closure, sorted."""
    return _resolve(packages, LISTS_MAX_AGE)


def unpack(name: str, packages: Sequence[str]) -> Path:
    """A root folder with `packages` and all they depend on, in the cache under `name` and the resolved versions."""
    try:
        return _unpack(name, packages, LISTS_MAX_AGE)
    except LocalError:
        if _Apt().age() < LISTS_RECENT:
            raise
    # The mirror drops replaced versions, so old lists name files that are gone: once more with new ones.
    return _unpack(name, packages, LISTS_RECENT)


def _unpack(name: str, packages: Sequence[str], max_age: float) -> Path:
    resolved = _resolve(packages, max_age)
    target = cache.root() / "debian" / f"{name}-{cache.key(*resolved)}"
    return cache.build_once(target, lambda partial: _Apt().extract(resolved, partial))


def _resolve(packages: Sequence[str], max_age: float) -> list[str]:
    _require_tools()
    apt = _Apt()
    with cache.lock(apt.state):
        if apt.age() >= max_age:
            apt.refresh()
        return apt.resolve(packages)


def _require_tools() -> None:
    missing = [tool for tool in ("apt-get", "apt-config", "dpkg", "dpkg-deb") if not shutil.which(tool)]
    if missing:
        raise LocalError(
            f"Cannot unpack Debian packages: {', '.join(missing)} not on PATH. "
            "The local platform needs a Debian or Ubuntu machine (or container) with apt."
        )


class _Apt:
    """apt-get with its state in one folder of ours. Callers hold the lock on `state`: apt-get itself would not wait."""

    def __init__(self) -> None:
        self.state = cache.root() / "debian" / "apt"
        self.lists = self.state / "lists"
        self.config = self.state / "apt.conf"
        self.resolved = self.state / "resolved"
        self.stamp = self.state / "updated"

    def age(self) -> float:
        """Seconds since the package lists were fetched."""
        return time.time() - self.stamp.stat().st_mtime if self.stamp.exists() else math.inf

    def refresh(self) -> None:
        """Fetch the package lists.

        A source that cannot be read is no failure as long as lists of others (or older ones) are there: whether they
        are enough shows when the packages are resolved.
        """
        cache.remove(self.resolved)
        (self.lists / "partial").mkdir(parents=True, exist_ok=True)
        (self.state / "status").touch()
        try:
            self._apt_get("update", doing="fetch the package lists of the apt sources")
        except LocalError as error:
            if not any(self.lists.glob("*_Packages*")):
                raise LocalError(f"{error}\nCheck the network and the sources in /etc/apt, and try again.") from error
        self.stamp.touch()

    def _configuration(self) -> str:
        """All settings in one file: where the host's sources are and how it reaches them, and folders of ours."""
        dump = run(["apt-config", "dump"], doing="read the apt settings")
        kept = [line for line in dump.splitlines() if line.startswith(("Acquire::", "Dir::Etc"))]
        architecture = run(["dpkg", "--print-architecture"], doing="read the architecture").strip()
        own = {
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::main": "/dev/null",
            "Dir::State": self.state,
            "Dir::State::lists": self.lists,
            "Dir::State::status": self.state / "status",
            "Dir::Cache": self.state / "cache",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Log": self.state / "log",
            "APT::Architecture": architecture,
            "APT::Architectures::": architecture,
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            # apt's own user could not write into a private cache folder; files are checked against signed lists anyway.
            "APT::Sandbox::User": "",
        }
        return "\n".join([*kept, *(f'{name} "{value}";' for name, value in own.items())]) + "\n"

    def _apt_get(self, *arguments: str, doing: str, cwd: Path | None = None) -> str:
        self.config.write_text(self._configuration())
        environment = {**os.environ, "APT_CONFIG": str(self.config), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        return run(["apt-get", "--quiet=2", "--assume-yes", *arguments], doing=doing, env=environment, cwd=cwd)

    def resolve(self, packages: Sequence[str]) -> list[str]:
        """The closure as these lists have it; kept, because apt reads all lists each time (over a second)."""
        kept = self.resolved / cache.key(*packages)
        if not kept.exists():
            doing = f"find the Debian packages {' '.join(packages)}"
            printed = self._apt_get("install", "--print-uris", *packages, doing=doing)
            found = sorted(" ".join(match) for match in PRINTED_URI.findall(printed))
            if not found:
                raise LocalError(f"Could not {doing}: apt-get named no file.")
            cache.build_once(kept, lambda partial: partial.write_text("\n".join(found)))
        return kept.read_text().splitlines()

    def extract(self, resolved: Sequence[str], folder: Path) -> None:
        """Download the packages of a closure and unpack them into `folder`."""
        # name_version_architecture.deb, with the colon of an epoch written %3a
        wanted = [unquote("=".join(line.split("_")[:2])) for line in resolved]
        debs = folder.with_name(f"{folder.name}.debs")
        cache.remove(debs)
        debs.mkdir()
        try:
            with cache.lock(self.state):
                self._apt_get("download", *wanted, doing=f"download {len(wanted)} Debian packages", cwd=debs)
            for link in USRMERGE:
                (folder / "usr" / link).mkdir(parents=True)
                (folder / link).symlink_to(f"usr/{link}")
            for deb in sorted(debs.glob("*.deb")):
                _unpack_one(deb, folder)
        finally:
            cache.remove(debs)


def inside(root: Path, path: PurePosixPath | str) -> Path:
    """Where `path` leads when `root` is taken for /: links are followed as in a chroot, never out of `root`."""
    todo = list(reversed(PurePosixPath(path).parts))
    place: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part in ("/", ".."):
            place = [] if part == "/" else place[:-1]
            continue
        here = root.joinpath(*place, part)
        if here.is_symlink():
            links += 1
            if links > MAX_LINKS:
                raise LocalError(f"Too many links at {path} in {root}.")
            todo.extend(reversed(PurePosixPath(here.readlink()).parts))
        else:
            place.append(part)
    return root.joinpath(*place)


def _unpack_one(deb: Path, root: Path) -> None:
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, stderr=said) as reader:
            try:
                with tarfile.open(fileobj=reader.stdout, mode="r|") as archive:
                    for member in archive:
                        _place(archive, member, root)
            except tarfile.TarError as error:
                raise LocalError(f"Could not unpack {deb.name}: {error}") from error
        if reader.returncode:
            said.seek(0)
            raise LocalError(f"Could not unpack {deb.name}: {said.read().decode(errors='replace').strip()}")


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    """Put one member below `root`. An absolute link of an earlier package must not lead the next one to the host.

    Files belong to the caller and lose setuid bits: the folder is material for images and tools, not a system.
    """
    path = PurePosixPath(member.name)
    if member.isdir():
        inside(root, path).mkdir(parents=True, exist_ok=True)
        return
    folder = inside(root, path.parent)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    if target.is_dir() and not target.is_symlink():
        return  # as dpkg: a folder that is there is never replaced by a link
    target.unlink(missing_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        target.hardlink_to(inside(root, member.linkname))
    elif (content := archive.extractfile(member)) is not None:
        with target.open("wb") as copy:
            shutil.copyfileobj(content, copy)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
