"""The node agent as the DaemonSet runs it, on this machine's kernel: Go's own tests, and a binary with its objects.

They run in a mount namespace of their own, so that no bpffs of theirs outlives them.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local import LocalError, bpf, cache, golang
from local.images.recipes import DATAPLANE

TIMEOUT = 900  # seconds, for two that are busy on two busy CPUs


@pytest.fixture(scope="module")
def objects() -> dict[Path, Path]:
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: only root loads BPF programs")
    if not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("NOT RUN: this kernel has no BTF")
    if not shutil.which("go"):
        pytest.skip("NOT RUN: go is not on PATH")
    try:
        bpf.compiler()
    except LocalError as error:
        pytest.skip(f"NOT RUN: no clang, and none from Debian: {error}")
    return bpf.overlay(DATAPLANE, "bpf")


def _passes(package: str, tests: str, flags: list[str], **environment: str) -> None:
    """The tests of a package that match ran and passed; one that was skipped says why."""
    program = golang.toolchain(DATAPLANE).program
    known = golang.environment(cache.root() / "go") | environment
    go = [str(program), "test", "-count=1", "-json", f"-timeout={TIMEOUT}s", "-run", tests, *flags, package]
    command = ["unshare", "--mount", "--propagation", "private", *go]
    done = subprocess.run(command, cwd=DATAPLANE, env=known, capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    said = "".join(str(event.get("Output", "")) for event in events)
    assert done.returncode == 0, said + done.stderr
    outcomes = {
        event["Test"]: event["Action"] for event in events if event.get("Test") and event["Action"] in ("pass", "skip")
    }
    assert outcomes, said
    if "skip" in outcomes.values():
        pytest.skip("NOT RUN: " + said.partition("NOT RUN: ")[2].splitlines()[0])


def test_the_verifier_takes_the_programs(objects: dict[Path, Path], tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(place): str(file) for place, file in objects.items()}}))
    _passes("./bpf", ".", [f"-overlay={overlay}"])


@pytest.mark.parametrize(
    "test",
    [
        "TestOnANode",
        "TestAHangingAgentIsSampledForNoLonger",
        "TestBlockedTimeOnANode",
        "TestWaitsAreNotTakenOfAHangingAgent",
        "TestSaysWhatTheNodeLacks",
    ],
)
def test_with_cap_perfmon_alone(objects: dict[Path, Path], test: str) -> None:
    agent = golang.build(DATAPLANE, "./cmd/agent", "agent", overlay=objects)
    _passes("./cmd/agent", f"^{test}$", [], FLAMEPLANE_AGENT=str(agent))
