"""The local platform with a real Pyroscope in the place of devstore, where one is given: profiles go in and out.

Proves that its image is built from the binary, that it runs as the declared pod, with the rendered configuration and
on the S3 of this environment, behind the gateway. NOT RUN without a Pyroscope.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_client import Agent, eventually
from door_client import FUNCTION, Door, stacks
from platform_client import Platform

from local.cluster.layout import ClusterInfo
from schemas.allowed import BACKEND_NAMESPACE

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks", "docs", "*.egg-info")
SETTINGS = "stacks/Pulumi.local.yaml"
SECONDS = 120  # in which Pyroscope is ready, and has a profile where it can be read


@pytest.fixture(scope="module")
def platform(cluster: ClusterInfo, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The platform of a copy of the project, whose settings name Pyroscope."""
    binary = shutil.which(os.environ.get("FLAMEPLANE_PYROSCOPE", "pyroscope"))
    if not binary:
        pytest.skip("NOT RUN: no pyroscope on PATH or in $FLAMEPLANE_PYROSCOPE; a static binary of 2.2 or newer")
    folder = tmp_path_factory.mktemp("pyroscope")
    shutil.copytree(ROOT, folder / "project", ignore=LEFT_OUT)
    (folder / "project" / ".venv").symlink_to(ROOT / ".venv", target_is_directory=True)
    settings = folder / "project" / SETTINGS
    text = settings.read_text()
    assert text.count("architecture: devstore") == 1
    settings.write_text(text.replace("architecture: devstore", "architecture: process"))
    platform = Platform(folder / "project", cluster, folder, Path(binary))
    platform.up()
    return platform


@pytest.fixture(scope="module")
def door(platform: Platform) -> Iterator[Door]:
    where = f"--namespace={BACKEND_NAMESPACE}"
    ready = platform.call("wait", "pod", "--selector=app.kubernetes.io/name=pyroscope", where, *waiting("ready"))
    assert ready.ok, ready.err + platform.call("logs", "statefulset/pyroscope", where, "--tail=30").out
    yield Door(platform)


def waiting(condition: str) -> tuple[str, str]:
    return f"--for=condition={condition}", f"--timeout={SECONDS}s"


def test_what_the_agent_pushes_pyroscope_holds(door: Door) -> None:
    window = door.push_checkout(door.agent())
    with door.drift() as reader:
        deadline = time.monotonic() + SECONDS
        while True:
            status, answer = door.post(*stacks("payments", window), reader)
            assert status == 200, answer
            names = answer.get("flamegraph", {}).get("names", [])
            if FUNCTION in names or time.monotonic() > deadline:
                break
            time.sleep(1)
        assert FUNCTION in names, answer
        status, answer = door.post(*stacks("catalog", window), reader)
        assert status == 200, answer
        assert int(answer.get("flamegraph", {}).get("total", 0)) == 0


def test_what_the_node_agent_samples_pyroscope_shows(platform: Platform, door: Door) -> None:
    """Through the gateway, with the names of functions."""
    agent = Agent(platform)
    agent.samples_on()
    with door.drift() as reader:
        eventually("where checkout spends its time", lambda: FUNCTION in agent.sampled(door, reader), SECONDS)
