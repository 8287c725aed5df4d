"""`flameplane audit verify|query`: whether an audit log is what the gateway wrote, and what it says."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flameplane.access.chain import Anchor, Line

FINDINGS = 1
app = typer.Typer(no_args_is_help=True, help="Read the audit log of the gateway.")
Logs = Annotated[
    list[Path],
    typer.Argument(
        exists=True,
        readable=True,
        help="Logs as they were shipped, or as a replica has them; or folders of *.jsonl and *.jsonl.gz. In any order.",
    ),
]


def register(parent: typer.Typer) -> None:
    """Add the commands to the CLI."""
    parent.add_typer(app, name="audit")


@app.command()
def verify(
    logs: Logs,
    anchors: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Folder of anchors as they were shipped, or JSON lines {replica, seq, hash} noted elsewhere; "
            "without them a log may end anywhere.",
        ),
    ] = None,
) -> None:
    """Find every line that was changed, removed, put in, moved or cut off. Exit codes: 0 whole, 1 not."""
    from flameplane.access import logs as read  # noqa: PLC0415
    from flameplane.access.chain import verify as verified  # noqa: PLC0415
    from flameplane.access.query import printable  # noqa: PLC0415

    paths = _files(logs)
    noted = _anchors(anchors) if anchors else []
    found = verified({str(path): read.lines(path) for path in paths}, noted)
    for remark in found.remarks:
        typer.echo(printable(remark))
    for broken in found.broken:
        typer.echo(printable(str(broken)), err=True)
    count = len(found.broken)
    what = f"{found.lines} lines in {len(paths)} file{'' if len(paths) == 1 else 's'}"
    if count:
        typer.echo(f"{what}: not what was written ({count} finding{'' if count == 1 else 's'})", err=True)
        raise typer.Exit(FINDINGS)
    end = f"{len(noted)} anchors hold" if noted else "no anchors given: a tail that was cut off cannot be seen"
    typer.echo(f"{what}: whole; {end}")


@app.command()
def query(  # noqa: PLR0917 - one parameter per option
    logs: Logs,
    who: Annotated[str, typer.Option(help="Part of a name, a service account or a repository.")] = "",
    tenant: Annotated[str, typer.Option(help="Tenant that was asked for.")] = "",
    service: Annotated[str, typer.Option(help="Service; questions about all of a tenant count.")] = "",
    operation: Annotated[str, typer.Option(help="As the record has it: profile, stacktraces, push.")] = "",
    refused: Annotated[bool | None, typer.Option("--refused/--allowed", help="Only these.")] = None,
    exports: Annotated[bool, typer.Option("--exports", help="Only what left by a grant.")] = False,
    since: Annotated[str, typer.Option(help="2026-11-27T10:00:00Z, or 90m, 24h, 7d ago.")] = "",
    until: Annotated[str, typer.Option(help="Likewise.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="The records themselves, one per line.")] = False,
) -> None:
    """Print the records that match, in the order of their time. Lines that do not hold are skipped and counted."""
    from flameplane.access import query as asked  # noqa: PLC0415

    now = datetime.now(UTC)
    question = asked.Question(
        who, tenant, service, operation, refused, exports, _time("--since", since, now), _time("--until", until, now)
    )
    found: dict[tuple[str, int, str], Line] = {}  # files may overlap
    skipped = 0
    for line in _parsed(_files(logs)):
        if isinstance(line, str):
            skipped += 1
        elif question.fits(line.record):
            found[line.replica, line.seq, line.hash] = line
    for line in sorted(found.values(), key=lambda one: (asked.moment(one.record), one.replica, one.seq)):
        typer.echo(json.dumps(dict(line.record)) if as_json else asked.told(line))
    if skipped:
        typer.echo(f"{skipped} lines do not hold: `flameplane audit verify` says why", err=True)


def _files(given: list[Path]) -> list[Path]:
    from flameplane.access import logs as read  # noqa: PLC0415

    if found := read.files(given):
        return found
    raise typer.BadParameter(
        f"there is no *.jsonl and no *.jsonl.gz below {', '.join(map(str, given))}", param_hint="LOGS"
    )


def _parsed(paths: list[Path]) -> "Iterator[Line | str]":
    from flameplane.access import logs as read  # noqa: PLC0415
    from flameplane.access.chain import UnreadableError, parse  # noqa: PLC0415

    for path in paths:
        try:
            yield from map(parse, read.lines(path))
        except UnreadableError as error:
            yield str(error)


def _anchors(path: Path) -> "list[Anchor]":
    from flameplane.access import logs as read  # noqa: PLC0415

    try:
        return read.anchors(path)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--anchors") from error


def _time(option: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    if text[:-1].isdigit() and text[-1] in "mhd":
        return now - timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[text[-1]]: int(text[:-1])})
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no time; valid: 2026-11-27T10:00:00Z, 24h", param_hint=option) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
