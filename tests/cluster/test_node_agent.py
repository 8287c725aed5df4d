"""The node agent as the DaemonSet runs it, on this machine's kernel: Go's own tests, and a binary with its objects.

They run in a mount namespace of their own, so that no bpffs of theirs outlives them.
"""

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from local import LocalError, bpf, cache, golang
from local.images.recipes import DATAPLANE

# Seconds, for two that are busy on two busy CPUs; more of them where each program is to use more CPU time.
TIMEOUT = 900 + 20 * int(os.environ.get("FLAMEPLANE_TRUTH_SECONDS", "0"))


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


def _ran(package: str, tests: str, flags: list[str], **environment: str) -> tuple[dict[str, str], dict[str, str], str]:
    """What became of the tests of a package that match ("pass", "fail", "skip"), what each said, and all of it."""
    program = golang.toolchain(DATAPLANE).program
    known = golang.environment(cache.root() / "go") | environment
    go = [str(program), "test", "-count=1", "-json", f"-timeout={TIMEOUT}s", "-run", tests, *flags, package]
    command = ["unshare", "--mount", "--propagation", "private", *go]
    done = subprocess.run(command, cwd=DATAPLANE, env=known, capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    outcomes, said = {}, dict[str, str]()
    for event in events:
        test = event.get("Test", "")
        said[test] = said.get(test, "") + event.get("Output", "")
        if test and event["Action"] in ("pass", "fail", "skip"):
            outcomes[test] = event["Action"]
    everything = "".join(str(event.get("Output", "")) for event in events) + done.stderr
    if done.returncode and "fail" not in outcomes.values():
        outcomes["the package"] = "fail"
    return outcomes, said, everything


def _passes(package: str, tests: str, flags: list[str], **environment: str) -> None:
    """The tests of a package that match ran and passed; one that was skipped says why."""
    outcomes, _, said = _ran(package, tests, flags, **environment)
    assert outcomes, said
    assert "fail" not in outcomes.values(), said
    if "skip" in outcomes.values():
        pytest.skip(_not_run(said))


def _not_run(said: str) -> str:
    return "NOT RUN: " + said.partition("NOT RUN: ")[2].partition("\n")[0]


def test_the_verifier_takes_the_programs(objects: dict[Path, Path], tmp_path: Path) -> None:
    """What it says is kept, for who wants to know how close a program is to its limits."""
    logs = cache.root() / "verifier" / platform.release()
    logs.mkdir(parents=True, exist_ok=True)
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(place): str(file) for place, file in objects.items()}}))
    _passes("./bpf", ".", [f"-overlay={overlay}"], FLAMEPLANE_VERIFIER_LOGS=str(logs))
    kept = {log.stem.partition("-")[0] for log in logs.glob("*.log")}
    assert kept >= {file.name.removesuffix(".bpf.o") for file in objects.values()}


@pytest.mark.parametrize(
    "test",
    [
        "TestOnANode",
        "TestAHangingAgentIsSampledForNoLonger",
        "TestBlockedTimeOnANode",
        "TestWaitsAreNotTakenOfAHangingAgent",
        "TestSaysWhatTheNodeLacks",
        "TestPythonsThatAreNotKnown",
    ],
)
def test_with_cap_perfmon_alone(objects: dict[Path, Path], test: str) -> None:
    agent = golang.build(DATAPLANE, "./cmd/agent", "agent", overlay=objects)
    _passes("./cmd/agent", f"^{test}$", [], FLAMEPLANE_AGENT=str(agent))


RUNTIMES = "TestRuntimesOnANode"


@pytest.fixture(scope="module")
def runtimes(objects: dict[Path, Path]) -> tuple[dict[str, str], dict[str, str], str]:
    """All at once: each is given a CPU's time of seconds, and they share the CPUs."""
    agent = golang.build(DATAPLANE, "./cmd/agent", "agent", overlay=objects)
    return _ran("./cmd/agent", f"^{RUNTIMES}$", [], FLAMEPLANE_AGENT=str(agent))


@pytest.mark.parametrize(
    "runtime",
    [
        "C library's qsort",
        "Go with cgo",
        "Python 3.11",
        "Python 3.13",
        "Python 3.14",
        "Python 3.15",
        "Java",
        "Java, frame pointers",
        "Node",
    ],
)
def test_what_a_runtime_uses(runtimes: tuple[dict[str, str], dict[str, str], str], runtime: str) -> None:
    outcomes, said, everything = runtimes
    test = f"{RUNTIMES}/{runtime.replace(' ', '_')}"
    if outcomes.get(RUNTIMES) == "skip":
        pytest.skip(_not_run(said[RUNTIMES]))
    assert test in outcomes, everything
    if outcomes[test] == "skip":
        pytest.skip(_not_run(said[test]))
    assert outcomes[test] == "pass", said[test]
    print(said[test])  # with -s: its row of the table in docs/agent.md
