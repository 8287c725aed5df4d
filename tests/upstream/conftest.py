"""The upstream tier: the real programs that rendered configuration is for. None is downloaded or built here.

Each one is found on PATH or by an environment variable; without it its tests are NOT RUN, and the reason says how to
provide it.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import Pyroscope, one_process


def provided(variable: str, program: str, where: str) -> Path:
    """The program named by ``variable`` or found on PATH; NOT RUN without it."""
    named = os.environ.get(variable)
    found = shutil.which(named or program)
    if not found:
        reason = f"{variable} names no program: {named}" if named else f"no {program} on PATH or in ${variable}"
        pytest.skip(f"NOT RUN: {reason}; {where}")
    return Path(found).resolve()


@pytest.fixture(scope="session")
def pyroscope_binary() -> Path:
    """Pyroscope 2.2 or newer."""
    where = "the binary is on the release page of grafana/pyroscope (2.2 or newer)"
    return provided("FLAMEPLANE_PYROSCOPE", "pyroscope", where)


@pytest.fixture
def one_pyroscope(pyroscope_binary: Path, tmp_path: Path) -> Iterator[Pyroscope]:
    """Pyroscope as one process on a folder, with tenants and its own limits."""
    with one_process(pyroscope_binary, tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def profilecli() -> Path:
    """Pyroscope's command line client."""
    where = "the binary is on the release page of grafana/pyroscope (2.2 or newer)"
    return provided("FLAMEPLANE_PROFILECLI", "profilecli", where)
