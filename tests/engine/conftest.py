"""The engine tier: the real Pulumi engine, language host and Kubernetes provider. Without them nothing here runs.

`pulumi` is taken from PATH, never downloaded. What is missing is said in the reason of every test that did not run.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from livecluster import NotOurs, empty_cluster
from workbench import Workbench, missing

from flameplane.local.kubectl import Kubectl
from local.cluster import CannotRun


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    """Every test of this tier is NOT RUN without the engine."""
    if reason := missing():
        pytest.skip(f"NOT RUN: {reason}")


@pytest.fixture(scope="session", autouse=True)
def _same_program() -> Iterator[None]:
    """`flameplane plan` runs in this process, and what the user set for the program has to reach neither or both."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [n for n in os.environ if n.startswith("FLAMEPLANE_") and n != "FLAMEPLANE_CACHE"]:
            environment.delenv(name)
        yield


@pytest.fixture
def bench(root: Path, tmp_path: Path) -> Workbench:
    """A fresh copy of the project and a fresh stack `local`; no cluster."""
    return Workbench(root, tmp_path).start()


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The local cluster without the platform, or NOT RUN."""
    try:
        with empty_cluster(tmp_path_factory.mktemp("kubectl")) as client:
            yield client
    except (CannotRun, NotOurs) as reason:
        pytest.skip(f"NOT RUN: {reason}")
