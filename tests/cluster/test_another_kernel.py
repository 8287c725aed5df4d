"""Loader and agent on another kernel than this machine's, booted for it, with exactly the pod's capabilities in there.

It is Debian's own (6.1 of Debian 12), or any image in FLAMEPLANE_GUEST_KERNEL. By its version it is held to a row of
docs/agent.md's matrix: a test of dataplane/cmd/agent, which is the booted machine's first program.
"""

import json
import os
import platform
import re
import shutil
from pathlib import Path

import guest
import pytest

from local import LocalError, bpf, cache, debian, golang
from local.images.recipes import DATAPLANE
from local.process import run

GIVEN = "FLAMEPLANE_GUEST_KERNEL"
# The first kernel of each row, and what holds it to that row.
ROWS = {(6, 10): "TestOnANewerKernel", (5, 19): "TestOnAnOlderKernel", (0, 0): "TestOnATooOldKernel"}
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
        return Path(given) if (given := os.environ.get(GIVEN)) else guest.kernel("linux-image-cloud-amd64")
    except LocalError as error:
        pytest.skip(f"NOT RUN: no clang, qemu or kernel from Debian: {error}")


def test_a_kernel_is_held_to_its_row(kernel: Path, tmp_path: Path) -> None:
    version = guest.version(kernel)
    test = next(test for first, test in ROWS.items() if version >= first)
    objects = bpf.overlay(DATAPLANE, "bpf")
    disk = tmp_path / "disk"
    contents = {
        "init": _tests(objects, tmp_path),
        "agent": golang.build(DATAPLANE, "./cmd/agent", "agent", overlay=objects),
        "bin/sleep": debian.unpack("busybox", ["busybox-static"]) / "bin/busybox",
        "busy-c": _c("busyc/busy.c", tmp_path),
        "busy-go": golang.build(DATAPLANE, "./cmd/agent/testdata/busygo", "busygo"),
        "waits": _c("waits/waits.c", tmp_path),
    }
    if NUMBERS.exists():
        contents[str(NUMBERS).lstrip("/")] = NUMBERS
    disk.write_bytes(guest.files(contents, {"var/run": "/run"}))
    said = guest.run(
        kernel,
        disk,
        ["-test.v", f"-test.run=^{test}$"],
        {"FLAMEPLANE_TEST_GUEST": "1", "FLAMEPLANE_AGENT": "/agent", "PATH": "/bin"},
        TIMEOUT,
    )
    print(said)
    assert f"--- PASS: {test}" in said, said
    assert "guest: the tests ended with code 0" in said, said
    assert re.search(rf"Linux {version[0]}\.{version[1]}\.", said), said


def _tests(objects: dict[Path, Path], folder: Path) -> Path:
    """The tests of the agent as a program, with the BPF objects."""
    overlay, program = folder / "overlay.json", folder / "tests"
    overlay.write_text(json.dumps({"Replace": {str(place): str(file) for place, file in objects.items()}}))
    flags = ["-c", "-ldflags=-s -w", f"-overlay={overlay}", "-o", str(program)]
    command = [golang.toolchain(DATAPLANE).program, "test", *flags, "./cmd/agent"]
    run(command, doing="build the agent's tests", env=golang.environment(cache.root() / "go"), cwd=DATAPLANE)
    return program


def _c(source: str, folder: Path) -> Path:
    program = folder / Path(source).stem
    flags = ["-O2", "-static", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-Wl,--build-id"]
    run(["gcc", *flags, "-o", program, SOURCES / source], doing=f"compile {source}")
    return program
