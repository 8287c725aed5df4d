"""`flameplane codeowners`: who reviews what, from the owners that services/ names."""

from typing import Annotated

import typer

from flameplane.cli.root import project
from flameplane.findings import format_findings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(codeowners)


def codeowners(
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when the committed file differs.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the file.")] = False,
) -> None:
    """Print CODEOWNERS, or --check or --write it."""
    if check and write:
        raise typer.BadParameter("give one of --check and --write")
    root = project()
    from flameplane.catalog import load  # noqa: PLC0415
    from flameplane.codeowners import FILE  # noqa: PLC0415
    from flameplane.codeowners import check as differences  # noqa: PLC0415
    from flameplane.codeowners import codeowners as text_of  # noqa: PLC0415

    catalog = load(root).catalog
    if catalog is None:
        typer.echo("services/ has findings; `flameplane validate` shows them", err=True)
        raise typer.Exit(1)
    if check:
        findings = differences(catalog, root)
        typer.echo(format_findings(findings, "text", root), err=True, nl=False)
        raise typer.Exit(1 if findings else 0)
    try:
        text = text_of(catalog)
    except ValueError as error:
        typer.echo(f"nothing was written: {error}" if write else str(error), err=True)
        raise typer.Exit(1) from error
    if write:
        (root / FILE).write_text(text, encoding="utf-8")
        typer.echo(f"written: {FILE}")
    else:
        typer.echo(text, nl=False)
