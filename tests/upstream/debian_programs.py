"""Programs of Debian, unpacked into the cache and run from there: nothing is installed (``local.debian``).

Where apt is not (or not reachable) the test that asks is NOT RUN, with the reason.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import LocalError, debian


@dataclass(frozen=True)
class Program:
    """A program below ``root``, and the environment in which its libraries are found."""

    path: Path
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """For ``subprocess``: the caller's, with the package's own libraries first."""
        folders = sorted({str(file.parent) for file in self.root.rglob("*.so*")})
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


def unpacked(package: str, path: str) -> Program:
    """The program ``path`` of a package."""
    try:
        root = debian.unpack(package, [package])
    except LocalError as error:
        pytest.skip(f"NOT RUN: no {package} from Debian's archive: {error}")
    return Program(debian.inside(root, path), root)
