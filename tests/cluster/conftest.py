"""The cluster tier: a real local cluster, or NOT RUN with what the machine lacks.

A cluster that is up is used as it is and left up; one that the tests start is taken down at the end.
"""

from collections.abc import Iterator

import pytest

import local.cluster
from local.cluster import record
from local.cluster.layout import ClusterInfo, Layout


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a cluster's whole life come first, while there is none that others use."""
    items.sort(key=lambda item: "no_cluster" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterInfo]:
    """The running local cluster. A start that fails is a failure; only a machine that cannot run it is NOT RUN."""
    was_up = record.read(Layout.current().record) is not None
    try:
        info = local.cluster.up()
    except local.cluster.CannotRun as reason:
        pytest.skip(f"NOT RUN: {reason}")
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
        pytest.skip(f"NOT RUN: {reason}")
    yield layout
    local.cluster.down()
