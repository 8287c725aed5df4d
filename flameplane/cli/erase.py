"""`flameplane erase plan|prove`: what can be taken back and by when, and whether it is gone."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flameplane.cli.root import project

if TYPE_CHECKING:
    from schemas.catalog import Catalog
    from schemas.team import Team

FINDINGS, USAGE, FAILURE = 1, 2, 3
app = typer.Typer(no_args_is_help=True, help="Erase the profiles of a team, or of a service, and prove it.")
TeamOption = Annotated[str, typer.Option("--team", help="The team.")]
ServiceOption = Annotated[str, typer.Option("--service", help="One service of it; default: the whole team.")]


def register(parent: typer.Typer) -> None:
    """Add the commands to the CLI."""
    parent.add_typer(app, name="erase")


@app.command()
def plan(team: TeamOption, service: ServiceOption = "") -> None:
    """Say what to declare, and by when it is gone at the latest. Changes nothing."""
    found, now = _team(_catalog(), team), datetime.now(UTC)
    lines = _service(found, service, now) if service else _whole(found, now)
    typer.echo("\n".join(lines))


@app.command()
def prove(  # noqa: PLR0917 - one parameter per option
    team: TeamOption,
    gateway: Annotated[str, typer.Option(help="URL of the gateway.")],
    gateway_token: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="File with a token that reads it.")],
    service: ServiceOption = "",
    gone: Annotated[
        bool, typer.Option("--gone", help="The service is declared no more, and nothing of it is seen: not a typo.")
    ] = False,
    longterm_suffix: Annotated[str, typer.Option(help="What the hourly tenant has beside its team's name.")] = (
        "-longterm"
    ),
) -> None:
    """Ask both tiers for everything that is left.

    Exit codes: 0 nothing is; 1 something is; 2 wrong use, or a service that is neither declared nor
    seen; 3 it could not be asked.

    Whoever runs the platform may ask (a token of a person in a platform group), while the team is still declared.
    """
    from flameplane.backend import BackendError, Gateway  # noqa: PLC0415
    from flameplane.erase.prove import prove as left_of  # noqa: PLC0415

    catalog = _catalog()
    declared = next((one for one in catalog.teams if one.name == team), None)
    tenants, now = (team, f"{team}{longterm_suffix}"), int(time.time() * 1000)
    what = f"{service} of {team}" if service else team
    try:
        found = left_of(Gateway(gateway, gateway_token, 4), tenants, service, now)
    except BackendError as error:
        typer.echo(f"what is left of {what} could not be asked, so nothing is proved: {error}", err=True)
        raise typer.Exit(FAILURE) from error
    for left in found:
        edges = dict.fromkeys(_day(datetime.fromtimestamp(ms / 1000, UTC)) for ms in (left.oldest, left.newest))
        typer.echo(f"{left.tenant}: {left.service}: {' to '.join(edges)}")
    looked = " and ".join(f"{tenant} ({days} days back)" for tenant, days in zip(tenants, _seen(declared), strict=True))
    if found:
        typer.echo(f"{what}: something is left in {len({one.tenant for one in found})} of {looked}", err=True)
        raise typer.Exit(FINDINGS)
    if service and not gone and service not in {one.name for one in catalog.of_team(team)}:
        typer.echo(
            f"{what} is neither declared nor seen in {looked}, so this may be a typo, which proves nothing; --gone "
            "says that it is not",
            err=True,
        )
        raise typer.Exit(USAGE)
    typer.echo(f"{what}: nothing is left in {looked} ({_time(now)})")
    typer.echo(
        "The objects go by compaction jobs, a quarter of an hour later at the earliest: docs/retention.md.", err=True
    )


def _seen(team: "Team | None") -> tuple[int, int]:
    """How many days back the backend lets either tier be asked, as declared (components/pyroscope_limits.py)."""
    from schemas.allowed import LONGEST_KEPT_DAYS, RETENTION_DAYS  # noqa: PLC0415

    if team is None or team.spec.erase:
        return RETENTION_DAYS[1] + 1, RETENTION_DAYS[1] + 1
    kept = team.spec.retention
    return min(kept.fine_days, LONGEST_KEPT_DAYS), min(kept.downsampled_days, LONGEST_KEPT_DAYS)


def _whole(team: "Team", now: datetime) -> tuple[str, ...]:
    from flameplane.erase import dates  # noqa: PLC0415

    name, gone = team.name, f"{dates.of_team(now).fine:%Y-%m-%dT%H:%MZ}"
    return (
        f"All profiles of {name}, fine and hourly, for good:",
        f"1. In services/{name}/_team.yaml declare, have it reviewed, and apply:",
        "     spec:",
        "       erase: true",
        f"   From then on no group of {name} reads them, and both tenants keep {dates.ERASED_HOURS} h. Remove its",
        "   services as well, or what comes in is erased in turn, and there is always something left.",
        f"2. Gone at the latest, if applied now: {gone}. Other teams have to push meanwhile: Pyroscope deletes",
        "   within compaction jobs, which come with new profiles.",
        f"3. flameplane erase prove --team {name} --gateway URL --gateway-token FILE",
        f"4. Remove services/{name}/, or the line.",
        "Not taken back: exports, comments on pull requests, alerts in chats, the audit log (docs/retention.md).",
    )


def _service(team: "Team", service: str, now: datetime) -> tuple[str, ...]:
    from flameplane.erase import dates  # noqa: PLC0415

    name, gone = team.name, dates.of_service(team, now)
    return (
        f"{service} alone cannot be erased: the backend deletes tenants, and it shares those of {name}.",
        f"1. Remove services/{name}/{service}/ and apply: nothing is profiled from then on.",
        f"2. Wait. Gone at the latest, if applied now: fine ones {_day(gone.fine)}, hourly ones {_day(gone.hourly)}.",
        f"   Until then whoever reads {name} reads them: the gateway knows teams, not services.",
        f"3. flameplane erase prove --team {name} --service {service} --gateway URL --gateway-token FILE",
        f"Sooner only with all of {name}: flameplane erase plan --team {name}",
    )


def _catalog() -> "Catalog":
    from flameplane.catalog import load  # noqa: PLC0415

    loaded = load(project())
    if loaded.catalog is None:
        typer.echo("services/ has mistakes; `flameplane validate` shows them", err=True)
        raise typer.Exit(FINDINGS)
    return loaded.catalog


def _team(catalog: "Catalog", name: str) -> "Team":
    teams = {team.name: team for team in catalog.teams}
    if name not in teams:
        raise typer.BadParameter(f"there is no team {name}; valid: {', '.join(teams)}", param_hint="--team")
    return teams[name]


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _time(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
