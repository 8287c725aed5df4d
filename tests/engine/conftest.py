"""The engine tier: the real Pulumi engine, language host and Kubernetes provider. Without them nothing here runs.

`pulumi` is taken from PATH, never downloaded. What is missing is said in the reason of every test that did not run.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from workbench import Workbench, missing

import local.cluster
from flameplane.local.kubectl import Kubectl
from local import images
from local.cluster import record
from local.cluster.layout import ClusterInfo, Layout
from schemas.allowed import NAMESPACES


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    """Every test of this tier is NOT RUN without the engine."""
    if reason := missing():
        pytest.skip(f"NOT RUN: {reason}")


@pytest.fixture
def bench(root: Path, tmp_path: Path) -> Workbench:
    """A fresh copy of the project and a fresh stack `local`; no cluster."""
    return Workbench(root, tmp_path).start()


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterInfo]:
    """The local cluster with its images; started, and then taken down again, where none is up."""
    was_up = record.read(Layout.current().record) is not None
    try:
        info = local.cluster.up()
    except local.cluster.CannotRun as reason:
        pytest.skip(f"NOT RUN: {reason}")
    for archive in images.build_all(lambda _step, _seconds: None).values():
        local.cluster.load_image(archive)
    yield info
    if not was_up:
        local.cluster.down()


@pytest.fixture(scope="session")
def kubectl(cluster: ClusterInfo, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """The cluster without the platform: what another stack or `make up` made is not ours to take over or to delete."""
    client = Kubectl(cluster.kubectl, cluster.kubeconfig, cluster.context, tmp_path_factory.mktemp("kubectl"))
    if client.get("namespaces", *NAMESPACES, doing="look for the platform"):
        pytest.skip("NOT RUN: the platform is already on the local cluster; `make down` first")
    return client
