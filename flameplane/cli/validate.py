"""`flameplane validate`: every declared file of the project, without a cluster and without Pulumi."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flameplane.findings import Finding, Format, format_findings
from flameplane.project import NoProject, find_root

FORMATS = ("text", "json", "markdown", "sarif", "github", "junit")
# Told, and no failure: a waiver that ends soon still holds, and nobody takes anything by a grant that has expired. Time
# alone breaks no build.
TOLD = ("WVR009", "EXP098")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(validate)


def validate(
    path: Annotated[
        Path | None,
        typer.Argument(help="Project, or a folder or file below it to see findings of; default: the project."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", metavar="|".join(FORMATS), help="Repeat it in pairs with --output."),
    ] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; - is standard output.")
    ] = None,
) -> None:
    """Check services/, the settings of every environment, images.lock, waivers and exports/.

    Several forms in one run: --format text --output - --format sarif --output findings.sarif
    """
    wanted = pairs(formats or ["text"], outputs or [])
    target = (path or Path.cwd()).resolve()
    root = _root(target)
    from flameplane.catalog.project import check_project  # noqa: PLC0415

    checked = check_project(root)
    findings = [f for f in checked.findings if target == root or path is None or _concerns(f, target, root)]
    for fmt, output in wanted:
        write(format_findings(findings, fmt, root), output)
    if any(fmt == "text" for fmt, _ in wanted):
        typer.echo(_summary(findings, len(checked.environments), checked.loaded.catalog), err=True)
    raise typer.Exit(1 if any(f.severity != "note" and f.id not in TOLD for f in findings) else 0)


def pairs(formats: list[str], outputs: list[str]) -> list[tuple[Format, str]]:
    """Formats with their outputs, in order; a single format needs no output."""
    for name in formats:
        if name not in FORMATS:
            raise typer.BadParameter(f"unknown format {name}; one of {', '.join(FORMATS)}", param_hint="--format")
    if not outputs and len(formats) == 1:
        outputs = ["-"]
    if len(outputs) != len(formats):
        message = f"{len(formats)} formats and {len(outputs)} outputs; give them in pairs, - is standard output"
        raise typer.BadParameter(message, param_hint="--output")
    places: dict[object, str] = {}
    for output in outputs:
        place = _place(output)
        if place in places:
            same = "" if places[place] == output else f", which {places[place]} is as well"
            message = f"two formats go to {output}{same}; give each an output of its own"
            raise typer.BadParameter(message, param_hint="--output")
        places[place] = output
    return list(zip(formats, outputs, strict=True))  # type: ignore[arg-type]  # checked against FORMATS above


def _place(output: str) -> object:
    """What tells an output from others, however it is spelt; outputs that cannot be written end here."""
    if output == "-":
        return output
    path = Path(output)
    try:
        if not output or path.is_dir():
            raise typer.BadParameter(f"{output or 'an empty name'} is no file: name one", param_hint="--output")
        if not path.parent.is_dir():
            raise typer.BadParameter(f"cannot write {output}: there is no folder {path.parent}", param_hint="--output")
        if path.exists():
            if not os.access(path, os.W_OK):
                raise typer.BadParameter(f"cannot write {output}: Permission denied", param_hint="--output")
            found = path.stat()
            return found.st_dev, found.st_ino  # also of a file that has two names
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise typer.BadParameter(f"cannot write into {path.parent}: Permission denied", param_hint="--output")
        return path.resolve()
    except (OSError, ValueError) as error:  # ValueError: a NUL byte
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise typer.BadParameter(f"cannot write {output!r}: {reason}", param_hint="--output") from error


def write(text: str, output: str) -> None:
    """To standard output or a file."""
    if output == "-":
        sys.stdout.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {output}: {error.strerror}", param_hint="--output") from error


def _root(target: Path) -> Path:
    """The project above ``target``; a folder that only holds services/ will do."""
    if not target.exists():
        raise typer.BadParameter(f"there is no {target}", param_hint="PATH")
    if (target / "services").is_dir():
        return target
    try:
        return find_root(target if target.is_dir() else target.parent)
    except NoProject as error:
        raise typer.BadParameter(str(error), param_hint="PATH") from error


def _concerns(finding: Finding, target: Path, root: Path) -> bool:
    places = [finding.location, *finding.related]
    return any(at and (root / at.file).resolve().is_relative_to(target) for at in places)


def _summary(findings: list[Finding], environments: int, catalog: object) -> str:
    from schemas.catalog import Catalog  # noqa: PLC0415

    if findings:
        return f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    if not isinstance(catalog, Catalog):
        return "no findings here; there are some in other files"
    return f"{len(catalog.services)} services of {len(catalog.teams)} teams, {environments} environments: no findings"
