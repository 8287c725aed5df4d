"""What the tests of the plan tier share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from environments import Environment, rendered


@pytest.fixture(scope="session")
def environment_of(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """The rendered environment of a name in ``environments.ENVIRONMENTS``, recorded once."""
    return cache(lambda name: rendered(name, root, tmp_path_factory.mktemp("project")))
