"""`flameplane schema`: the published JSON Schemas and the tables of their pages, printed, written or compared."""

from pathlib import Path
from typing import Annotated

import typer

from flameplane.cli.root import project

_KINDS = ("service", "team", "organisation", "settings", "grant")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(schema)


def schema(
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", metavar="|".join(_KINDS), help="One kind of file.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when a published file differs.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the published files.")] = False,
) -> None:
    """Print the JSON Schema of a kind of file (service by default), or --check or --write what is generated."""
    if kind is not None and kind not in _KINDS:
        raise typer.BadParameter(f"unknown kind {kind}; one of {', '.join(_KINDS)}", param_hint="--kind")
    if check and write:
        raise typer.BadParameter("--check and --write exclude each other")
    from flameplane.catalog.published import file_name, generate  # noqa: PLC0415

    if not (check or write):
        typer.echo(generate(kind or "service"), nl=False)
        return
    root = project()
    wanted = {f"schemas/{file_name(name)}": generate(name) for name in ([kind] if kind else _KINDS)}
    if kind is None:
        wanted |= _pages(root)
    differing = [name for name, text in wanted.items() if _read(root / name) != text]
    if write:
        for name in differing:
            (root / name).write_text(wanted[name], encoding="utf-8")
    if differing:
        typer.echo(f"{'written' if write else 'differs from the models'}: {', '.join(differing)}", err=True)
    if differing and check:
        typer.echo("fix: flameplane schema --write; once a version is released, make a new one instead", err=True)
        raise typer.Exit(1)


def _pages(root: Path) -> dict[str, str]:
    """The reference pages with their generated tables, where the project has them."""
    from flameplane.catalog.reference import PAGES, update  # noqa: PLC0415

    pages = {name: _read(root / name) for name in PAGES}
    return {name: update(page, root) for name, page in pages.items() if page is not None}


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
