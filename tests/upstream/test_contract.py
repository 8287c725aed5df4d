"""A real Pyroscope still answers as dataplane/contract says that it did.

Proves that what our clients rely on, and what devstore is held to in the plan tier, is what this Pyroscope does: 865
answers, over Connect and gRPC. It runs as one process on a folder, with its own limits; several replicas and object
storage it cannot prove. With FLAMEPLANE_PYROSCOPE_URL the same is asked of one that runs already (multitenancy on,
default limits). FLAMEPLANE_CONTRACT_RECORD=1 records anew instead of comparing: docs/contract.md.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Pyroscope, pyroscope

from local import cache, golang

MODULE = Path(__file__).resolve().parents[2] / "dataplane"
LIVE = "TestPyroscopeStillAnswersSo"
URL = "FLAMEPLANE_PYROSCOPE_URL"
CONFIG = """\
target: all
architecture_storage: v2
multitenancy_enabled: true
self_profiling: {disable_push: true}
analytics: {reporting_enabled: false}
admin_server: {mode: exclusive}
"""


@pytest.fixture
def server(pyroscope_binary: Path, tmp_path: Path) -> Iterator[Pyroscope]:
    files = {"config.yaml": CONFIG, "overrides.yaml": "overrides: {}\n"}
    storage = ["-storage.backend=filesystem", f"-storage.filesystem.dir={tmp_path / 'blocks'}"]
    with pyroscope(pyroscope_binary, tmp_path, files, storage) as started:
        yield started


def go(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = golang.toolchain(MODULE).program
    known = golang.environment(cache.root() / "go") | {"CGO_ENABLED": "0"} | environment
    return subprocess.run([program, *arguments], cwd=MODULE, env=known, capture_output=True, text=True, check=False)


def keeps_the_contract(url: str) -> None:
    done = go("test", "-count=1", "-v", "-run", f"^{LIVE}$", "./contract", **{URL: url})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"--- PASS: {LIVE}" in done.stdout, done.stdout


def test_pyroscope_keeps_the_contract(server: Pyroscope) -> None:
    if os.environ.get("FLAMEPLANE_CONTRACT_RECORD"):
        done = go("run", "./contract/cmd/record", "-url", server.url, "-admin", server.admin)
        assert done.returncode == 0, done.stderr
        pytest.skip(f"NOT RUN: recorded anew instead; {done.stderr.splitlines()[-1]}")
    keeps_the_contract(server.url)


def test_a_running_pyroscope_keeps_the_contract() -> None:
    url = os.environ.get(URL)
    if not url:
        pytest.skip(f"NOT RUN: ${URL} names no running Pyroscope (2.2 or newer)")
    keeps_the_contract(url)
