"""`flameplane audit verify|query`: whether an audit log is what the gateway wrote, and what it says."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flameplane.access.chain import Anchor

FINDINGS = 1
app = typer.Typer(no_args_is_help=True, help="Read the audit log of the gateway.")
Logs = Annotated[
    list[Path],
    typer.Argument(exists=True, readable=True, help="Logs of replicas, as they were shipped, or folders of *.jsonl."),
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
            dir_okay=False,
            help="JSON lines {replica, seq, hash} that were noted elsewhere; without them a log may end anywhere.",
        ),
    ] = None,
) -> None:
    """Find every line that was changed, removed, put in, moved or cut off. Exit codes: 0 whole, 1 not."""
    from flameplane.access.chain import verify as broken_of  # noqa: PLC0415

    texts = {str(path): list(_lines(path)) for path in _files(logs)}
    noted = _anchors(anchors) if anchors else []
    found = list(broken_of(texts, noted))
    for broken in found:
        typer.echo(str(broken), err=True)
    count = sum(map(len, texts.values()))
    what = f"{count} lines in {len(texts)} file{'' if len(texts) == 1 else 's'}"
    if found:
        typer.echo(f"{what}: not what was written ({len(found)} finding{'' if len(found) == 1 else 's'})", err=True)
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
    from flameplane.access.chain import Line, parse  # noqa: PLC0415

    now = datetime.now(UTC)
    question = asked.Question(
        who, tenant, service, operation, refused, exports, _time("--since", since, now), _time("--until", until, now)
    )
    parsed = [parse(text) for path in _files(logs) for text in _lines(path)]
    lines = [line for line in parsed if isinstance(line, Line) and question.fits(line.record)]
    for line in sorted(lines, key=lambda found: (asked.moment(found.record), found.replica, found.seq)):
        typer.echo(json.dumps(dict(line.record), ensure_ascii=False) if as_json else asked.told(line))
    if skipped := sum(not isinstance(line, Line) for line in parsed):
        typer.echo(f"{skipped} lines do not hold: `flameplane audit verify` says why", err=True)


def _files(given: Iterable[Path]) -> Iterator[Path]:
    for path in given:
        yield from sorted(path.rglob("*.jsonl")) if path.is_dir() else (path,)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for text in file:
            yield text.removesuffix("\n")


def _anchors(path: Path) -> "list[Anchor]":
    from flameplane.access.chain import Anchor  # noqa: PLC0415

    found = []
    for number, text in enumerate(_lines(path), 1):
        try:
            one = json.loads(text)
            found.append(Anchor(str(one["replica"]), int(one["seq"]), str(one["hash"])))
        except (ValueError, KeyError, TypeError) as error:
            how = f"{path}:{number} is no anchor: it is one JSON map with replica, seq and hash"
            raise typer.BadParameter(how, param_hint="--anchors") from error
    return found


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
