"""`flameplane schema`: the published JSON Schemas, printed, written or compared."""

from pathlib import Path
from typing import Annotated

import typer

from flameplane.project import NoProject, find_root

_KINDS = ("service", "team", "organisation", "settings")


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
    """Print the JSON Schema of a kind of file (service by default), or --check or --write the files in schemas/."""
    if kind is not None and kind not in _KINDS:
        raise typer.BadParameter(f"unknown kind {kind}; one of {', '.join(_KINDS)}", param_hint="--kind")
    if check and write:
        raise typer.BadParameter("--check and --write exclude each other")
    from flameplane.catalog.published import file_name, generate  # noqa: PLC0415

    if not (check or write):
        typer.echo(generate(kind or "service"), nl=False)
        return
    folder = _folder()
    differing = []
    for name in [kind] if kind else _KINDS:
        file, text = folder / file_name(name), generate(name)
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        differing.append(f"schemas/{file.name}")
        if write:
            file.write_text(text, encoding="utf-8")
    if differing:
        typer.echo(f"{'written' if write else 'differs from the models'}: {', '.join(differing)}", err=True)
    if differing and check:
        typer.echo(
            "A published version is immutable once it is released; before that: flameplane schema --write", err=True
        )
        raise typer.Exit(1)


def _folder() -> Path:
    try:
        return find_root() / "schemas"
    except NoProject as error:
        raise typer.BadParameter(str(error)) from error
