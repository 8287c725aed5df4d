"""`flameplane export request|list`: grants by which whole profiles leave the platform."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flameplane.cli import complete
from flameplane.cli.questions import Questions, a_name, one_of
from flameplane.cli.root import declared, project
from schemas.allowed import EXPORT_FORMATS, GRANT_DAYS

if TYPE_CHECKING:
    from flameplane.catalog.grant_draft import NewGrant
    from schemas.catalog import Catalog

FINDINGS = 1
USUAL_DAYS = 3  # that a grant holds: the review takes one of them
ID_LENGTH = 40  # of a name (schemas.base.NAME)
app = typer.Typer(no_args_is_help=True, help="Grants to take a whole profile out of the platform.")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def register(parent: typer.Typer) -> None:
    """Add the commands to the CLI."""
    parent.add_typer(app, name="export")


@app.command()
def request(
    *,
    service: Annotated[
        str | None, typer.Option("--service", help="Service whose profile it is.", autocompletion=complete.services)
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="|".join(EXPORT_FORMATS), help="Default: pprof.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="2026-11-20T08:00:00Z, or 90m, 24h, 7d ago.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise; 0m is now.")] = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="What it is for, where it goes, who sees it there.")
    ] = None,
    requester: Annotated[
        str | None, typer.Option("--requester", help="Who will take it, as the identity provider names them.")
    ] = None,
    approver: Annotated[
        str | None, typer.Option("--approver", help="Owner of exports who has to agree; default: the first.")
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help=f"A time, or 12h, {USUAL_DAYS}d on; at most {GRANT_DAYS}d."),
    ] = None,
    name: Annotated[str | None, typer.Option("--id", help="Default: made of the time and the service.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the file; write nothing.")] = False,
) -> None:
    """Write exports/<id>.yaml for a pull request, after the validator has passed it.

    On a terminal it asks for what the flags leave out. It never replaces a file.
    """
    root = project()
    from flameplane.catalog.grant_draft import NewGrant  # noqa: PLC0415

    _, catalog = declared(root, "nothing was written: correct what is declared first")
    owners = catalog.organisation.metadata.owners
    if not owners:
        typer.echo("nobody owns exports, so nobody could agree: add metadata.owners to services/_org.yaml", err=True)
        raise typer.Exit(FINDINGS)
    now = datetime.now(UTC).replace(microsecond=0)
    given = {"service": service, "format": form, "from": start, "to": end, "purpose": purpose, "requester": requester}
    ask = Questions(
        given | {"approver": approver, "expires": expires, "id": name}, ("format", "approver", "expires", "id")
    )
    teams = {one.name: one.team for one in catalog.services}
    service = str(ask("service", "Service", one_of(sorted(teams), "service")))
    new = NewGrant(
        service=service,
        team=teams[service],
        form=ask("format", f"Format ({', '.join(EXPORT_FORMATS)})", one_of(EXPORT_FORMATS, "format"), "pprof"),
        start=ask("from", "Profiles from (2026-11-20T08:00:00Z, or 90m, 24h, 7d ago)", _time(now, -1)),
        end=ask("to", "Until (likewise; 0m is now)", _time(now, -1)),
        purpose=ask("purpose", "What it is for, where it goes, who sees it there", str.strip),
        requester=ask("requester", "Who will take it", str.strip, _mail(root)),
        approver=ask("approver", f"Who has to agree ({', '.join(owners)})", one_of(owners, "owner"), owners[0]),
        expires=ask("expires", f"Good for (12h, {USUAL_DAYS}d, or a time)", _time(now, 1), f"{USUAL_DAYS}d"),
        granted=now,
        name=ask("id", "Id", a_name, f"{now:%Y%m%d-%H%M}-{service}"[:ID_LENGTH].rstrip("-")),
    )
    _write(root, catalog, new, dry_run)


def _write(root: Path, catalog: "Catalog", new: "NewGrant", dry_run: bool) -> None:
    from flameplane.catalog.grant_draft import judged, write  # noqa: PLC0415

    exists = f"{new.path} exists already; it is not replaced"
    if (root / new.path).exists() or (root / new.path).is_symlink():
        raise typer.BadParameter(exists, param_hint="--id")
    if against := judged(catalog, new):
        typer.echo(against, err=True, nl=False)
        typer.echo("nothing was written", err=True)
        raise typer.Exit(FINDINGS)
    if dry_run:
        typer.echo(new.text, nl=False)
        typer.echo(f"{new.path} was not written: --dry-run", err=True)
        return
    try:
        write(root, new)
    except FileExistsError as error:
        raise typer.BadParameter(exists, param_hint="--id") from error
    typer.echo(_next(new), err=True)


def _next(new: "NewGrant") -> str:
    from schemas.grant import written  # noqa: PLC0415

    return "\n".join(
        [
            f"{new.path} written",
            "next:",
            f'  git switch -c export-{new.name} && git add {new.path} && git commit -m "Ask for export {new.name}"',
            f"  open a pull request; {new.approver} has to approve it, and nobody approves what they ask for",
            f"  once it is merged and applied, and until {written(new.expires)}, {new.requester} may take the profile",
            f"  once: with the header X-Flameplane-Grant: {new.name}",
            "  then delete the file",
        ]
    )


@app.command(name="list")
def list_() -> None:
    """Print every grant that is declared: id, requester, service, window, expiry and state.

    Whether one was used the cluster knows: a Lease export-grant-<id>, and the audit log.
    """
    root = project()
    from flameplane.catalog import load_grants  # noqa: PLC0415
    from flameplane.findings import format_findings  # noqa: PLC0415

    _, catalog = declared(root)
    now = datetime.now(UTC)
    loaded = load_grants(root, catalog, now=now)
    rows = [("ID", "REQUESTER", "SERVICE", "FORMAT", "FROM", "TO", "EXPIRES", "STATE")]
    for grant in loaded.grants:
        spec, state = grant.spec, "expired" if grant.expires <= now else "good"
        of = f"{spec.team}/{spec.service}"
        window = (spec.window.from_, spec.window.to)
        rows.append((grant.name, spec.requester, of, spec.format, *window, spec.expires, state))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows if loaded.grants else ():
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    wrong = [f for f in loaded.findings if f.severity == "error"]
    typer.echo(format_findings(wrong, "text", root), err=True, nl=False)
    if not loaded.grants and not wrong:
        typer.echo("no grants: nothing may leave", err=True)
    raise typer.Exit(FINDINGS if wrong else 0)


def _time(now: datetime, sign: int) -> Callable[[str], datetime]:
    """A reader of times; an amount is before (-1) or after (1) now."""

    def parse(text: str) -> datetime:
        text = text.strip()
        if text[:-1].isdigit() and len(text) < 6 and text[-1] in _UNITS:
            return now + sign * timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        try:
            found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError as error:
            raise typer.BadParameter(f"{text} is no time; valid: 2026-11-20T08:00:00Z, 90m, 24h, 7d") from error
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).replace(microsecond=0)

    return parse


def _mail(root: Path) -> str | None:
    """Whose commits these are: who asks, most of the time. None without git."""
    try:
        done = subprocess.run(["git", "config", "user.email"], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
