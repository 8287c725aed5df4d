"""Loader and agent on a kernel before 6.10: Debian's 6.1, booted for it, with exactly the pod's capabilities in there.

What they are held to is in dataplane/cmd/agent/older_test.go, which is the booted machine's first program.
"""

import json
import platform
import re
import shutil
from pathlib import Path

import guest
import pytest

from local import LocalError, bpf, cache, debian, golang
from local.images.recipes import DATAPLANE
from local.process import run

OLDEST, NEWEST = (5, 19), (6, 10)  # the row of docs/agent.md
TEST = "TestOnAnOlderKernel"
TIMEOUT = 600  # seconds, on a busy machine
NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")  # of system calls, for the agent's seccomp filter
SOURCES = DATAPLANE / "cmd/agent/testdata"


@pytest.fixture(scope="module")
def kernel() -> Path:
    if platform.machine() != "x86_64":
        pytest.skip("NOT RUN: the machine that is booted is of x86_64")
    for tool in ("gcc", "go"):
        if not shutil.which(tool):
            pytest.skip(f"NOT RUN: {tool} is not on PATH")
    try:
        bpf.compiler()
        debian.resolve(["qemu-system-x86"])
        found = guest.kernel("linux-image-cloud-amd64")
    except LocalError as error:
        pytest.skip(f"NOT RUN: no clang, qemu or kernel from Debian: {error}")
    if not OLDEST <= guest.version(found) < NEWEST:
        pytest.skip(f"NOT RUN: this Debian's kernel is {found.name}, which has everything; Debian 12's is 6.1")
    return found


def test_an_older_kernel_samples_by_build_id(kernel: Path, tmp_path: Path) -> None:
    objects = bpf.overlay(DATAPLANE, "bpf")
    disk = tmp_path / "disk"
    contents = {
        "init": _tests(objects, tmp_path),
        "agent": golang.build(DATAPLANE, "./cmd/agent", "agent", overlay=objects),
        "bin/sleep": debian.unpack("busybox", ["busybox-static"]) / "bin/busybox",
        "busy-c": _busy_c(tmp_path / "busy-c"),
        "busy-go": golang.build(DATAPLANE, "./cmd/agent/testdata/busygo", "busygo"),
    }
    if NUMBERS.exists():
        contents[str(NUMBERS).lstrip("/")] = NUMBERS
    disk.write_bytes(guest.files(contents, {"var/run": "/run"}))
    said = guest.run(
        kernel,
        disk,
        ["-test.v", f"-test.run=^{TEST}$"],
        {"FLAMEPLANE_TEST_GUEST": "1", "FLAMEPLANE_AGENT": "/agent", "PATH": "/bin"},
        TIMEOUT,
    )
    print(said)
    assert f"--- PASS: {TEST}" in said, said
    assert "guest: the tests ended with code 0" in said, said
    assert re.search(r"Linux 6\.1\.", said), said


def _tests(objects: dict[Path, Path], folder: Path) -> Path:
    """The tests of the agent as a program, with the BPF objects."""
    overlay, program = folder / "overlay.json", folder / "tests"
    overlay.write_text(json.dumps({"Replace": {str(place): str(file) for place, file in objects.items()}}))
    flags = ["-c", "-ldflags=-s -w", f"-overlay={overlay}", "-o", str(program)]
    command = [golang.toolchain(DATAPLANE).program, "test", *flags, "./cmd/agent"]
    run(command, doing="build the agent's tests", env=golang.environment(cache.root() / "go"), cwd=DATAPLANE)
    return program


def _busy_c(program: Path) -> Path:
    flags = ["-O2", "-static", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-Wl,--build-id"]
    run(["gcc", *flags, "-o", program, SOURCES / "busyc/busy.c"], doing="compile busy.c")
    return program
