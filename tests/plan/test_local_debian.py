"""Unpacking Debian packages, with real apt and dpkg on a repository of this test's own (no network).

NOT RUN where apt is missing. What it cannot show: signed sources over the network; the cluster tier uses these.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local import LocalError, cache, debian

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="NOT RUN: apt-get is not on PATH")


class Repository:
    """A flat apt repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()

    def add(self, name: str, version: str, fields: str, fill: Callable[[Path], None]) -> None:
        """Build a package and index all that are there."""
        tree = self.folder / f"{name}.tree"
        (tree / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: {self.architecture}\nMaintainer: t <t@e.x>\n"
        (tree / "DEBIAN/control").write_text(f"{control}{fields}Description: test\n")
        fill(tree)
        deb = self.folder / f"{name}_{version}_{self.architecture}.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, deb], check=True, capture_output=True)
        shutil.rmtree(tree)
        self.index()

    def index(self) -> None:
        stanzas = []
        for deb in sorted(self.folder.glob("*.deb")):
            control = subprocess.check_output(["dpkg-deb", "--field", deb], text=True)
            digest = hashlib.sha256(deb.read_bytes()).hexdigest()
            stanzas.append(f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n")
        (self.folder / "Packages.gz").write_bytes(gzip.compress("\n".join(stanzas).encode()))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """`tool` needs `library`; `extra` is only recommended. The host's sources are replaced for this process."""
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    made = Repository(tmp_path / "repository")
    made.add("library", "1", "", _file("usr/lib/library.txt", "library 1"))
    made.add("tool", "1", "Depends: library\nRecommends: extra\n", _file("bin/tool", "tool 1", 0o4755))
    made.add("extra", "1", "", _file("usr/extra", "extra"))
    _sources(tmp_path, monkeypatch, f"deb [trusted=yes] file:{made.folder} ./")
    return made


def _sources(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    (folder / "sources.list").write_text("\n".join(lines) + "\n")
    settings = {"sourcelist": folder / "sources.list", "sourceparts": "/dev/null", "preferencesparts": "/dev/null"}
    (folder / "apt.conf").write_text("".join(f'Dir::Etc::{key} "{value}";\n' for key, value in settings.items()))
    monkeypatch.setenv("APT_CONFIG", str(folder / "apt.conf"))


def _file(path: str, text: str, mode: int = 0o644) -> Callable[[Path], None]:
    def fill(tree: Path) -> None:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(mode)

    return fill


def _link(path: str, to: str) -> Callable[[Path], None]:
    def fill(tree: Path) -> None:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(to)

    return fill


def _make_old() -> None:
    """As if the package lists had been fetched two hours ago."""
    stamp = cache.root() / "debian/apt/updated"
    os.utime(stamp, (time.time() - 7200,) * 2)


def test_the_closure_is_unpacked(repository: Repository) -> None:
    tree = debian.unpack("try", ["tool"])
    assert (tree / "usr/bin/tool").read_text() == "tool 1"
    assert (tree / "usr/lib/library.txt").read_text() == "library 1"
    assert not (tree / "usr/extra").exists(), "recommended packages are not part of the closure"
    assert (tree / "bin").readlink() == Path("usr/bin")
    assert (tree / "usr/bin/tool").stat().st_mode & 0o7777 == 0o755, "setuid is dropped"
    assert not list(tree.parent.glob("*.debs")), "archives are not kept"


def test_the_second_time_nothing_is_run(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    first = debian.unpack("try", ["tool"])
    monkeypatch.setattr(debian, "run", None)
    assert debian.unpack("try", ["tool"]) == first


def test_new_versions_make_a_new_folder(repository: Repository) -> None:
    first = debian.unpack("try", ["tool"])
    repository.add("library", "2", "", _file("usr/lib/library.txt", "library 2"))
    assert debian.unpack("try", ["tool"]) == first, "fresh lists are not fetched again"
    os.utime(cache.root() / "debian/apt/updated", (0, 0))
    second = debian.unpack("try", ["tool"])
    assert second != first
    assert (second / "usr/lib/library.txt").read_text() == "library 2"


def test_a_version_that_left_the_mirror(repository: Repository) -> None:
    debian.resolve(["tool"])
    (repository.folder / f"library_1_{repository.architecture}.deb").unlink()
    repository.add("library", "2", "", _file("usr/lib/library.txt", "library 2"))
    _make_old()
    assert (debian.unpack("try", ["tool"]) / "usr/lib/library.txt").read_text() == "library 2"


def test_a_broken_source_stops_nobody(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _sources(tmp_path, monkeypatch, f"deb [trusted=yes] file:{repository.folder} ./", "deb file:/nonexistent ./")
    assert (debian.unpack("try", ["tool"]) / "usr/bin/tool").exists()


def test_no_source_that_works(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _sources(tmp_path, monkeypatch, "deb file:/nonexistent ./")
    with pytest.raises(LocalError, match=r"(?s)fetch the package lists.*nonexistent.*sources in /etc/apt"):
        debian.unpack("try", ["tool"])


def test_an_unknown_package(repository: Repository) -> None:
    with pytest.raises(LocalError, match=r"(?s)find the Debian packages tol.*Unable to locate package tol"):
        debian.unpack("try", ["tol"])


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path))
    with pytest.raises(LocalError, match=r"apt-get, apt-config, dpkg, dpkg-deb not on PATH.*Debian or Ubuntu"):
        debian.unpack("try", ["tool"])


def test_a_link_out_of_the_root_leads_nobody_out(repository: Repository, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    repository.add("a-link", "1", "", _link("usr/share/place", str(outside)))
    repository.add("b-file", "1", "Depends: a-link\n", _file("usr/share/place/file", "content"))
    tree = debian.unpack("try", ["b-file"])
    assert list(outside.iterdir()) == []
    assert (tree / str(outside).lstrip("/") / "file").read_text() == "content"


def test_links_inside_a_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/absolute").symlink_to("/usr/lib")
    (tmp_path / "etc/up").symlink_to("../../../../usr")
    (tmp_path / "etc/loop").symlink_to("loop")
    assert debian.inside(tmp_path, "/etc/absolute/x") == tmp_path / "usr/lib/x"
    assert debian.inside(tmp_path, "etc/up/../x") == tmp_path / "x"
    with pytest.raises(LocalError, match="Too many links at etc/loop"):
        debian.inside(tmp_path, "etc/loop")


def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    deb = tmp_path / "broken.deb"
    deb.write_bytes(b"this is no package")
    with pytest.raises(LocalError, match=r"Could not unpack broken\.deb"):
        debian._unpack_one(deb, tmp_path)
