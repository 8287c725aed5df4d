"""Pyroscope's SDKs for Go, Java, Node.js and Python push to the receiver of a node, as the pod that they run in.

Proves that the real SDKs, at the locked versions, are taken by `dataplane/cmd/receiver` without a credential, whatever
service and team they name, and that their hot function goes out in the profile of its kind. The node's pods and the
gateway are stand-ins of Go's own test, which this one gives the programs to.
"""

import json
import subprocess

import pytest
from sdk_agents import AGENT, Unavailable

from local import cache, golang
from local.images.recipes import DATAPLANE


@pytest.mark.parametrize("language", AGENT)
def test_an_sdk_pushes_to_the_receiver(language: str) -> None:
    agent = AGENT[language]
    try:
        command = [str(part) for part in agent.command()]
    except Unavailable as why:
        pytest.skip(f"NOT RUN: {why}")
    given = {"Command": command, "Hot": agent.hot, "Name": agent.kind.partition(":")[0]}
    known = golang.environment(cache.root() / "go") | {"FLAMEPLANE_TEST_SDK": json.dumps(given)}
    go = [
        str(golang.toolchain(DATAPLANE).program),
        "test",
        "-count=1",
        "-v",
        "-run",
        "TestAnSDKPushes",
        "./cmd/receiver",
    ]
    done = subprocess.run(go, cwd=DATAPLANE, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--- PASS: TestAnSDKPushes" in done.stdout, done.stdout + done.stderr
