"""The project that a command is about."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flameplane.project import NoProject, find_root

if TYPE_CHECKING:
    from flameplane.catalog import Loaded
    from schemas.catalog import Catalog


def project() -> Path:
    """The project around the working folder; outside of any, the command ends as with a wrong option."""
    try:
        return find_root()
    except NoProject as error:
        raise typer.BadParameter(str(error)) from error


def declared(root: Path, also: str = "") -> "tuple[Loaded, Catalog]":
    """What services/ declares; with findings the command ends with them, and ``also`` said."""
    from flameplane.catalog import load  # noqa: PLC0415
    from flameplane.findings import format_findings  # noqa: PLC0415

    loaded = load(root)
    if loaded.catalog is None:
        typer.echo(format_findings(loaded.findings, "text", root), err=True, nl=False)
        if also:
            typer.echo(also, err=True)
        raise typer.Exit(1)
    return loaded, loaded.catalog
