"""Go's own tests of dataplane/, as tests of this tier run them against a real server."""

import subprocess
from pathlib import Path

from local import cache, golang

MODULE = Path(__file__).resolve().parents[2] / "dataplane"


def go(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `go` in dataplane/, without cgo."""
    program = golang.toolchain(MODULE).program
    known = golang.environment(cache.root() / "go") | {"CGO_ENABLED": "0"} | environment
    return subprocess.run([program, *arguments], cwd=MODULE, env=known, capture_output=True, text=True, check=False)


def passes(test: str, package: str, **environment: str) -> None:
    """That one test of a package ran, was not skipped, and passed."""
    done = go("test", "-count=1", "-v", "-run", f"^{test}$", package, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"--- PASS: {test}" in done.stdout, done.stdout
