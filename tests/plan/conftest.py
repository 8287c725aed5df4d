"""What the tests of the plan tier share."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from downsampled import serving_with_token
from environments import Environment, rendered
from profile_store import Store


@pytest.fixture(scope="session", autouse=True)
def no_pyroscope() -> Iterator[None]:
    """One that is given to the upstream tier is nothing to these tests: beside devstore it is refused."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("FLAMEPLANE_PYROSCOPE", raising=False)
        yield


@pytest.fixture(scope="session")
def environment_of(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """The rendered environment of a name in ``environments.ENVIRONMENTS``, recorded once."""
    return cache(lambda name: rendered(name, root, tmp_path_factory.mktemp("project")))


@pytest.fixture
def store(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The stand-in of Pyroscope and the gateway that `flameplane downsample` runs against, in this project."""
    monkeypatch.chdir(root)
    monkeypatch.setattr("flameplane.downsample.merge.VISIBLE_SECONDS", 0.0)
    with serving_with_token(tmp_path) as found:
        yield found
