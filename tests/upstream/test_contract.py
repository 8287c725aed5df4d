"""A real Pyroscope still answers as dataplane/contract says that it did.

Proves that what our clients rely on, and what devstore is held to in the plan tier, is what this Pyroscope does: 892
answers, over Connect and gRPC. It runs as one process on a folder, with its own limits; several replicas and object
storage it cannot prove. With FLAMEPLANE_PYROSCOPE_URL the same is asked of one that runs already (multitenancy on,
default limits). FLAMEPLANE_CONTRACT_RECORD=1 records anew instead of comparing: docs/contract.md.
"""

import os

import pytest
from go_tests import go, passes
from servers import Pyroscope

LIVE = "TestPyroscopeStillAnswersSo"
URL = "FLAMEPLANE_PYROSCOPE_URL"


def keeps_the_contract(url: str) -> None:
    passes(LIVE, "./contract", **{URL: url})


def test_pyroscope_keeps_the_contract(one_pyroscope: Pyroscope) -> None:
    if os.environ.get("FLAMEPLANE_CONTRACT_RECORD"):
        done = go("run", "./contract/cmd/record", "-url", one_pyroscope.url, "-admin", one_pyroscope.admin)
        assert done.returncode == 0, done.stderr
        pytest.skip(f"NOT RUN: recorded anew instead; {done.stderr.splitlines()[-1]}")
    keeps_the_contract(one_pyroscope.url)


def test_a_running_pyroscope_keeps_the_contract() -> None:
    url = os.environ.get(URL)
    if not url:
        pytest.skip(f"NOT RUN: ${URL} names no running Pyroscope (2.2 or newer)")
    keeps_the_contract(url)
