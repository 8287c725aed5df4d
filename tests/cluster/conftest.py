"""The cluster tier: a real local cluster, or NOT RUN with what the machine lacks.

A cluster that is up is used as it is and left up; one that the tests start is taken down at the end. The platform on it
is brought up by `flameplane local up` itself, and stays as the project's services/ declare it. In CI as root nothing is
lacking: what cannot run there has failed.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from platform_client import Platform

import local.cluster
from local.cluster import record, sampling
from local.cluster.layout import ClusterInfo, Layout
from schemas.allowed import BACKEND_NAMESPACE

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/plan"))  # the rendered environments are the same there
from environments import Environment, rendered  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a cluster's whole life come first, while there is none that others use."""
    items.sort(key=lambda item: "no_cluster" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def was_up() -> bool:
    """Whether the cluster is the user's, and not one that the tests start."""
    return record.read(Layout.current().record) is not None


@pytest.fixture(scope="session")
def cluster(was_up: bool) -> Iterator[ClusterInfo]:
    """The running local cluster. A start that fails is a failure; only a machine that cannot run it is NOT RUN."""
    try:
        info = local.cluster.up()
    except local.cluster.CannotRun as reason:
        not_run(str(reason))
    yield info
    if not was_up:
        local.cluster.down()


@pytest.fixture
def no_cluster() -> Iterator[Layout]:
    """For tests that start and delete the cluster: not while the user has one up, since its data would be gone."""
    layout = Layout.current()
    if record.read(layout.record) is not None:
        pytest.skip("NOT RUN: a local cluster is up, and this test would delete it; `make down` first")
    try:
        local.cluster.down()  # also what an interrupted run left
    except local.cluster.CannotRun as reason:
        not_run(str(reason))
    yield layout
    local.cluster.down()


@pytest.fixture(scope="module")
def platform(cluster: ClusterInfo, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The platform of services/, brought up on the cluster by the command that users run; also after its withdrawal."""
    if problem := sampling.problem():
        not_run(problem)
    platform = Platform(ROOT, cluster, tmp_path_factory.mktemp("platform"))
    platform.up()
    return platform


@pytest.fixture(scope="module")
def a_pod(platform: Platform) -> str:
    """Any pod of the backend: what is refused is refused before it is asked."""
    return str(platform.kubectl.get("pods", f"--namespace={BACKEND_NAMESPACE}", doing="find")[0]["metadata"]["name"])


@pytest.fixture(scope="session")
def environment_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """The rendered environment of a name in ``environments.ENVIRONMENTS``, recorded once."""
    return cache(lambda name: rendered(name, ROOT, tmp_path_factory.mktemp("project")))


def not_run(reason: str) -> None:
    """Leave a test out, with its reason; in CI as root that is a failure."""
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(f"this machine is there to run the cluster tier, and cannot: {reason}")
    pytest.skip(f"NOT RUN: {reason}")
