"""The cache: where it is, and that a thing is built once, whole or not at all.

Real files and processes. What it cannot show: that a rename survives a power cut.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from local import cache

BUILD_SLOWLY = """
import sys, time
from pathlib import Path
from local import cache

def build(partial):
    with Path(sys.argv[2]).open("a") as log:
        log.write("built\\n")
    partial.mkdir()
    time.sleep(0.5)
    (partial / "done").touch()

assert (cache.build_once(Path(sys.argv[1]), build) / "done").exists()
"""


def test_place_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("FLAMEPLANE_CACHE", raising=False)
    assert cache.root() == Path("/home/someone/.cache/flameplane")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache.root() == Path("/caches/flameplane")
    monkeypatch.setenv("FLAMEPLANE_CACHE", "relative")
    monkeypatch.chdir(tmp_path)
    assert cache.root() == tmp_path / "relative"


def test_keys_tell_inputs_apart() -> None:
    assert cache.key("ab", "c") != cache.key("a", "bc")
    assert cache.key("a") == cache.key(b"a")
    assert len(cache.key("a")) == cache.KEY_LENGTH


def test_a_tree_is_known_by_names_and_contents(tmp_path: Path) -> None:
    file = tmp_path / "a" / "one.txt"
    file.parent.mkdir()
    file.write_text("1")
    before = cache.tree(tmp_path)
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "x.pyc").touch()
    assert cache.tree(tmp_path) == before
    file.rename(tmp_path / "a" / "two.txt")
    assert cache.tree(tmp_path) != before


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        partial.mkdir()
        (partial / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.build_once(tmp_path / "thing", fail)
    assert [path.name for path in tmp_path.iterdir()] == [".thing.lock"]


def test_what_a_killed_build_left_is_built_again(tmp_path: Path) -> None:
    (tmp_path / ".thing.partial").mkdir()
    (tmp_path / ".thing.partial" / "half").touch()
    made = cache.build_once(tmp_path / "thing", lambda partial: partial.mkdir())
    assert list(made.iterdir()) == []


def test_two_runs_build_once(tmp_path: Path, root: Path) -> None:
    command = [sys.executable, "-c", BUILD_SLOWLY, str(tmp_path / "cache" / "thing"), str(tmp_path / "log")]
    runs = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate(timeout=30)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert (tmp_path / "log").read_text() == "built\n"
    assert "Waiting for another run that is making thing" in "".join(said)
