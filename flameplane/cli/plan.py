"""`flameplane plan`: what the program declares for one environment, what changes, what it costs, what policies say."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from flameplane.cli import complete
from flameplane.cli.root import project
from flameplane.cli.validate import pairs, write
from flameplane.findings import Finding, format_findings, in_order

if TYPE_CHECKING:
    from flameplane.catalog import Loaded
    from flameplane.plan import Recording
    from flameplane.review.base import Base
    from flameplane.review.report import Report

FINDINGS, FAILURE = 1, 3
FAILED = "PLN030"  # the finding that nothing was judged

Stack = Annotated[
    str,
    typer.Option(
        "--stack", "-s", help="Environment: a file stacks/Pulumi.<STACK>.yaml.", autocompletion=complete.stacks
    ),
]
Services = Annotated[
    Path | None, typer.Option("--services", metavar="DIR", help="A services tree in place of the project's own.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)


def plan(  # noqa: PLR0917 - one parameter per option
    stack: Stack,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="As of validate; repeat it in pairs with --output."),
    ] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FILE", help="- is standard output.")
    ] = None,
    services: Services = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="REF", help="Say what changes against this git ref.")
    ] = None,
    source_url: Annotated[
        str, typer.Option("--source-url", metavar="URL", help="Where files lie: links of comments and SARIF.")
    ] = "",
) -> None:
    """Run the program and the policies, without a cluster: objects by layer, changes, cost, findings, verdict.

    Exit codes: 0 passes, 1 findings of severity error, 2 usage, 3 the program or the policy pack failed.
    """
    wanted = pairs(formats or ["text"], outputs or [])
    root = project_root(stack, services, base)
    with _materialised(root, base) as compared:
        if compared:
            _known(stack, root, compared.root)
        report = _report(root, stack, services, compared)
    report.source = (source_url or in_ci()).rstrip("/")
    for fmt, output in wanted:
        if report.summary is None and (fmt, output) == ("text", "-"):
            if not report.failed:  # there is no plan: standard output stays empty
                typer.echo(report.in_form(fmt), err=True, nl=False)
        else:
            write(report.in_form(fmt), output)
    if report.failed:
        raise typer.Exit(FAILURE)
    if report.summary is None:
        raise typer.Exit(FINDINGS)
    if all(output != "-" for _, output in wanted):
        from flameplane.plan.summary import verdict  # noqa: PLC0415

        typer.echo(f"{verdict(report.summary, report.findings)}; see {', '.join(output for _, output in wanted)}")
    raise typer.Exit(FINDINGS if blocking(report.findings) else 0)


def in_ci() -> str:
    """The address of the files of this run in GitHub Actions; empty elsewhere."""
    server, repository, commit = (os.environ.get(f"GITHUB_{n}") for n in ("SERVER_URL", "REPOSITORY", "SHA"))
    return f"{server}/{repository}/blob/{commit}" if server and repository and commit else ""


def _report(root: Path, stack: str, services: Path | None, base: "Base | None") -> "Report":
    from flameplane.catalog import load, load_grants, load_settings  # noqa: PLC0415
    from flameplane.codeowners import check  # noqa: PLC0415
    from flameplane.plan import PackFailed, ProgramFailed, judge  # noqa: PLC0415
    from flameplane.plan.summary import summarise  # noqa: PLC0415
    from flameplane.review.report import Report  # noqa: PLC0415
    from flameplane.review.review import Side, review, side_of  # noqa: PLC0415

    loaded, settings = load(root, services), load_settings(root, stack)
    granted = load_grants(root, loaded.catalog, services).findings
    findings = in_order([*settings.findings, *loaded.findings, *granted])
    if base and settings.settings is None and not (root / "stacks" / f"Pulumi.{stack}.yaml").exists():
        findings = [_deleted(f, stack, base) if f.id == "SET066" else f for f in findings]
    if loaded.catalog is None or blocking(findings):
        return Report(root, stack, findings, Side(root, loaded, settings.settings, settings.sources))
    texts: dict[str, tuple[str, str, str]] = {}
    with ThreadPoolExecutor(1, "base") as pool:  # both sides at once: most of the work is in processes of their own
        before = pool.submit(side_of, base, stack) if base else None
        try:
            recording = recorded(root, stack, services)
            findings += judge(recording, root, loaded.sources, texts)
        except (ProgramFailed, PackFailed) as error:
            typer.echo(f"flameplane: {error}", err=True)
            side = Side(root, loaded, settings.settings, settings.sources)
            return Report(root, stack, [*findings, failure(str(error))], side, failed=True)
    if services is None:
        findings += check(loaded.catalog, root)
    findings = in_order(findings)
    side = Side(root, loaded, settings.settings, settings.sources, recording, findings)
    report = Report(root, stack, findings, side, summarise(recording, root, len(loaded.catalog.services)), texts=texts)
    if base and before:
        report.before = before.result()
        report.review = review(base, report.before, side, stack, datetime.now(UTC).date())
    return report


def failure(message: str) -> Finding:
    """That nothing was judged, as a finding: it stands in every output that was asked for."""
    first = message.strip().splitlines()[0] if message.strip() else "no reason was given"
    fix = "Mend what it says; the output of the command has the whole of it."
    return Finding(FAILED, "error", f"nothing was judged: {first}", fix=fix)


def _deleted(finding: Finding, stack: str, base: "Base") -> Finding:
    """Settings that the base has: without them nothing reviews, changes or takes down what is applied."""
    message = f"the settings of {stack} are deleted, which {base.ref} has: what is applied there is no longer reviewed"
    fix = f"Bring the file back. To give {stack} up, destroy its stack first, and have this merged past the review."
    return replace(finding, message=message, valid=(), fix=fix)


@contextmanager
def _materialised(root: Path, ref: str | None) -> "Iterator[Base | None]":
    """The project of a git ref for the time of the block."""
    if ref is None:
        yield None
        return
    from flameplane.review.base import NoBase, materialised  # noqa: PLC0415

    try:
        opened = materialised(root, ref)
        found = opened.__enter__()
    except NoBase as error:
        raise typer.BadParameter(str(error), param_hint="--base") from error
    try:
        yield found
    finally:
        opened.__exit__(None, None, None)


def project_root(stack: str, services: Path | None, base: str | None = None) -> Path:
    """The project around the working folder; wrong options end here. With a ``base`` the stack may be one of that."""
    root = project()
    if base is None:
        _known(stack, root)
    if services is not None and not services.is_dir():
        raise typer.BadParameter(f"there is no folder {services}", param_hint="--services")
    return root


def _known(stack: str, *roots: Path) -> None:
    """End where none of the projects has the stack."""
    from flameplane.catalog import stacks  # noqa: PLC0415
    from flameplane.catalog.suggest import closest  # noqa: PLC0415

    known = sorted({name for root in roots for name in stacks(root)})
    if stack not in known:
        guess = closest(stack, known)
        hint = f"did you mean {guess}?" if guess else f"there are {', '.join(known) or 'none'}"
        raise typer.BadParameter(f"there is no stack {stack}; {hint}", param_hint="--stack")


def declared(root: Path, stack: str, services: Path | None) -> "tuple[Loaded, list[Finding]]":
    """The declared files, read here as the program reads them: their findings need no run of the program."""
    from flameplane.catalog import load, load_grants, load_settings  # noqa: PLC0415

    loaded = load(root, services)
    granted = load_grants(root, loaded.catalog, services).findings
    return loaded, in_order([*load_settings(root, stack).findings, *loaded.findings, *granted])


def recorded(root: Path, stack: str, services: Path | None) -> "Recording":
    """The program's resources; what it says goes to stderr as it is. Raises ``ProgramFailed``."""
    from flameplane.plan import ProgramFailed, record  # noqa: PLC0415

    try:
        recording = record(root, stack, services)
    except ProgramFailed as error:
        typer.echo(error.findings_text, err=True, nl=False)
        raise
    typer.echo(recording.output, err=True, nl=False)
    for log in recording.logs:
        typer.echo(f"{log.severity}: {log.message}", err=True)
    return recording


def blocking(findings: list[Finding]) -> bool:
    """Whether one of them is an error: anything less is told and stops nothing."""
    return any(f.severity == "error" for f in findings)


def stop(findings: list[Finding], root: Path) -> NoReturn:
    """End with the findings of the declared files."""
    typer.echo(format_findings(findings, "text", root), err=True, nl=False)
    typer.echo(f"{len(findings)} finding{'s' if len(findings) > 1 else ''}: the program was not run", err=True)
    raise typer.Exit(FINDINGS)


def fail(message: str) -> NoReturn:
    """End with a failure: nothing was judged."""
    typer.echo(f"flameplane: {message}", err=True)
    raise typer.Exit(FAILURE)
