"""`flameplane plan`: what the program declares for one environment, and what the policies say about it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from flameplane.cli.validate import write
from flameplane.findings import Finding, format_findings, in_order
from flameplane.project import NoProject, find_root

if TYPE_CHECKING:
    from flameplane.catalog import Loaded, Sources
    from flameplane.plan import Recording

FORMATS = ("text", "json")
FINDINGS, FAILURE = 1, 3

Stack = Annotated[str, typer.Option("--stack", "-s", help="Environment: a file stacks/Pulumi.<STACK>.yaml.")]
Services = Annotated[
    Path | None, typer.Option("--services", metavar="DIR", help="A services tree in place of the project's own.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)


def plan(
    stack: Stack,
    fmt: Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS))] = "text",
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="- is standard output.")] = "-",
    services: Services = None,
) -> None:
    """Run the program and the policies, without a cluster: objects by layer, findings, verdict.

    Exit codes: 0 passes, 1 findings of severity error, 2 usage, 3 the program or the policy pack failed.
    """
    if fmt not in FORMATS:
        raise typer.BadParameter(f"unknown format {fmt}; one of {', '.join(FORMATS)}", param_hint="--format")
    root = project_root(stack, services)
    loaded, findings = declared(root, stack, services)
    from flameplane.plan.summary import as_json, as_text, summarise, verdict  # noqa: PLC0415

    if loaded.catalog is None or findings:
        if fmt == "json":
            write(_document(as_json(stack, None, findings)), output)
            raise typer.Exit(FINDINGS)
        stop(findings, root)
    recording = recorded(root, stack, services)
    findings = _judged(recording, root, loaded.sources)
    summary = summarise(recording, root, len(loaded.catalog.services))
    if fmt == "json":
        write(_document(as_json(stack, summary, findings)), output)
    else:
        write(as_text(stack, summary, findings, root), output)
    if output != "-":
        typer.echo(f"{verdict(summary, findings)}; see {output}")
    raise typer.Exit(FINDINGS if any(f.severity == "error" for f in findings) else 0)


def project_root(stack: str, services: Path | None) -> Path:
    """The project around the working folder; wrong options end here."""
    try:
        root = find_root()
    except NoProject as error:
        raise typer.BadParameter(str(error)) from error
    from flameplane.catalog import stacks  # noqa: PLC0415
    from flameplane.catalog.suggest import closest  # noqa: PLC0415

    known = stacks(root)
    if stack not in known:
        guess = closest(stack, known)
        hint = f"did you mean {guess}?" if guess else f"there are {', '.join(known) or 'none'}"
        raise typer.BadParameter(f"there is no stack {stack}; {hint}", param_hint="--stack")
    if services is not None and not services.is_dir():
        raise typer.BadParameter(f"there is no folder {services}", param_hint="--services")
    return root


def declared(root: Path, stack: str, services: Path | None) -> "tuple[Loaded, list[Finding]]":
    """The declared files, read here as the program reads them: their findings need no run of the program."""
    from flameplane.catalog import load, load_settings  # noqa: PLC0415

    loaded = load(root, services)
    return loaded, in_order([*load_settings(root, stack).findings, *loaded.findings])


def recorded(root: Path, stack: str, services: Path | None) -> "Recording":
    """The program's resources; what it says goes to stderr as it is, and a failure of it ends the command."""
    from flameplane.plan import ProgramFailed, record  # noqa: PLC0415

    try:
        recording = record(root, stack, services)
    except ProgramFailed as error:
        typer.echo(error.findings_text, err=True, nl=False)
        fail(error.message)
    typer.echo(recording.output, err=True, nl=False)
    for log in recording.logs:
        typer.echo(f"{log.severity}: {log.message}", err=True)
    return recording


def stop(findings: list[Finding], root: Path) -> NoReturn:
    """End with the findings of the declared files."""
    typer.echo(format_findings(findings, "text", root), err=True, nl=False)
    typer.echo(f"{len(findings)} finding{'s' if len(findings) > 1 else ''}: the program was not run", err=True)
    raise typer.Exit(FINDINGS)


def fail(message: str) -> NoReturn:
    """End with a failure: nothing was judged."""
    typer.echo(f"flameplane: {message}", err=True)
    raise typer.Exit(FAILURE)


def _judged(recording: "Recording", root: Path, sources: "Sources") -> list[Finding]:
    from flameplane.plan import PackFailed, check_fields, evaluate  # noqa: PLC0415

    try:
        return in_order([*check_fields(recording, root), *evaluate(recording, root, sources)])
    except PackFailed as error:
        fail(str(error))


def _document(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
