"""Where the project is."""

from pathlib import Path


class NoProject(Exception):
    """There is no Pulumi.yaml in the folder or above it."""


def find_root(start: Path | None = None) -> Path:
    """The nearest folder with Pulumi.yaml, from ``start`` (the working folder) upwards."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise NoProject(f"no Pulumi.yaml in {here} or above it: run this inside the project")
