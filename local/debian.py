"""Debian packages as a folder: the host's apt sources, but nothing installed and nothing of the host's apt written.

apt runs with a state and a cache of our own and an empty list of installed packages, so what it resolves is the whole
dependency closure (Depends and Pre-Depends, no Recommends). Taken from the host: its sources, keyrings, credentials,
pins and `Acquire` settings (proxy, TLS); not its hooks. Signatures are checked as always.

Limits: maintainer scripts do not run, so nothing they make exists: no alternatives (`/usr/bin/java`), no users in
`/etc/passwd`, no caches (`ld.so.cache`, CA bundle). Programs are called by the path that the package ships.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from local import LocalError, cache
from local.process import run

LISTS_MAX_AGE = 30 * 24 * 3600  # seconds; after a month the package lists are fetched again
USRMERGE = ("bin", "lib", "lib64", "sbin")
# 'http://host/pool/x.deb' name_version_arch.deb 12345 SHA256:...
PRINTED_URI = re.compile(r"^'[^']+' (\S+) \d+ (\S*)$", re.MULTILINE)


def unpack(name: str, packages: Sequence[str]) -> Path:
    """A root folder with `packages` and all they depend on, in the cache under `name` and the resolved versions."""
    _require_tools()
    apt = _Apt(cache.root() / "debian" / "apt")
    with cache.lock(apt.state):
        updated = apt.refresh(LISTS_MAX_AGE)
        resolved = apt.resolve(packages)
    target = cache.root() / "debian" / f"{name}-{cache.key(*resolved)}"
    if target.exists():
        return target
    try:
        return cache.build_once(target, lambda partial: apt.extract(packages, partial))
    except LocalError:
        if updated:
            raise
    # The mirror drops replaced versions, so old lists name files that are gone: once more with new ones.
    with cache.lock(apt.state):
        apt.refresh(0)
        resolved = apt.resolve(packages)
    target = target.with_name(f"{name}-{cache.key(*resolved)}")
    return cache.build_once(target, lambda partial: apt.extract(packages, partial))


def _require_tools() -> None:
    missing = [tool for tool in ("apt-get", "apt-config", "dpkg", "dpkg-deb", "tar") if not shutil.which(tool)]
    if missing:
        raise LocalError(
            f"Cannot unpack Debian packages: {', '.join(missing)} not on PATH. "
            "The local platform needs a Debian or Ubuntu machine (or container) with apt."
        )


class _Apt:
    """apt-get with its state in one folder of ours."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.lists = state / "lists"
        self.config = state / "apt.conf"

    def refresh(self, max_age: float) -> bool:
        """Fetch the package lists if they are older than `max_age` seconds; True when they were fetched.

        A source that cannot be read is no failure as long as lists of others (or older ones) are there: whether they
        are enough shows when the packages are resolved.
        """
        (self.lists / "partial").mkdir(parents=True, exist_ok=True)
        (self.state / "status").touch()
        self.config.write_text(self._configuration())
        stamp = self.state / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < max_age:
            return False
        try:
            self._apt_get("update", doing="fetch the package lists of the apt sources")
        except LocalError as error:
            if not any(self.lists.glob("*_Packages*")):
                raise LocalError(
                    f"{error}\nCheck the network and /etc/apt/sources.list*, then run it again."
                ) from error
        stamp.touch()
        return True

    def _configuration(self) -> str:
        """All settings in one file: the host's `Acquire` tree, and our folders. The host's apt.conf.d is not read."""
        dump = run(["apt-config", "dump"], doing="read the apt settings")
        kept = [line for line in dump.splitlines() if line.startswith("Acquire::")]
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

    def _apt_get(self, *arguments: str, doing: str) -> str:
        environment = {**os.environ, "APT_CONFIG": str(self.config), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        return run(["apt-get", "--quiet=2", "--assume-yes", *arguments], doing=doing, env=environment)

    def resolve(self, packages: Sequence[str]) -> list[str]:
        """File name (which holds the version) and checksum of every package of the closure, sorted."""
        doing = f"find the Debian packages {' '.join(packages)}"
        printed = self._apt_get("install", "--print-uris", *packages, doing=doing)
        found = sorted(" ".join(match) for match in PRINTED_URI.findall(printed))
        if not found:
            raise LocalError(f"Could not {doing}: apt-get named no file.")
        return found

    def extract(self, packages: Sequence[str], folder: Path) -> None:
        """Download the closure and unpack it into `folder`."""
        debs = folder.with_name(f"{folder.name}.debs")
        try:
            (debs / "partial").mkdir(parents=True, exist_ok=True)
            self._apt_get(
                "--download-only",
                f"--option=Dir::Cache::archives={debs}",
                "install",
                *packages,
                doing=f"download the Debian packages {' '.join(packages)}",
            )
            folder.mkdir()
            for link in USRMERGE:
                (folder / "usr" / link).mkdir(parents=True, exist_ok=True)
                (folder / link).symlink_to(f"usr/{link}")
            for deb in sorted(debs.glob("*.deb")):
                _unpack_one(deb, folder)
        finally:
            cache.remove(debs)


def _unpack_one(deb: Path, folder: Path) -> None:
    """Files belong to the caller and lose setuid bits: the folder is material for images and tools, not a system."""
    reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    writer = subprocess.run(
        ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--no-same-permissions", "-C", folder],
        stdin=reader.stdout,
        capture_output=True,
        text=True,
        umask=0o022,
        check=False,
    )
    _, said = reader.communicate()
    if reader.returncode or writer.returncode:
        raise LocalError(
            f"Could not unpack {deb.name}: {said.decode(errors='replace').strip()} {writer.stderr.strip()}"
        )
