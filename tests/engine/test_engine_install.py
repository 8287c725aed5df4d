"""`pulumi install` with the hash-locked requirements, as a user of a fresh clone runs it.

Proves that the lock is complete and that program and pack run in what it installs. Needs PyPI (or the index that pip is
configured for). Plugins are left out: they come from the vendor's own download site.
"""

import subprocess
from pathlib import Path

import pytest
from workbench import Workbench


def test_install_from_the_lock_is_enough_for_program_and_pack(root: Path, tmp_path: Path) -> None:
    bench = Workbench(root, tmp_path)
    (bench.project / ".venv").unlink()
    if reason := no_index(tmp_path):
        pytest.skip(f"NOT RUN: {reason}")
    done = bench.call("install", "--no-plugins")
    assert done.code == 0, done.text
    assert (bench.project / ".venv" / "bin" / "python").exists()
    done = bench.start().run("preview")
    assert done.code == 0, done.text


def no_index(folder: Path) -> str:
    """Why packages cannot be installed here; empty when they can."""
    command = [
        "python3",
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-cache-dir",
        "--retries=1",
        "--timeout=10",
    ]
    asked = subprocess.run([*command, "--dest", folder / "index", "pip"], capture_output=True, text=True, check=False)
    said = asked.stderr.strip().splitlines()
    return (
        "" if asked.returncode == 0 else f"pip cannot reach a package index: {said[-1] if said else 'no reason given'}"
    )
