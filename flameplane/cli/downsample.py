"""`flameplane downsample`: merge closed hours of fine profiles into the long-term tenants. A job of the platform."""

import signal
import sys
import time
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flameplane.downsample.hours import Hour
    from flameplane.downsample.run import TeamRun
    from flameplane.prometheus import Figure
    from schemas.catalog import Catalog

FINDINGS, USAGE, FAILURE = 1, 2, 3


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(downsample)


def downsample(  # noqa: PLR0917 - one parameter per option
    gateway: Annotated[str, typer.Option(help="URL of the gateway.")],
    gateway_token: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File with the service account's token.")
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder with the mounted catalog; default: the project's."),
    ] = None,
    longterm_suffix: Annotated[str, typer.Option(help="What the hourly tenant has beside its team's name.")] = (
        "-longterm"
    ),
    prometheus: Annotated[str, typer.Option(help="URL to write the figures to; none: they are not written.")] = "",
    hour: Annotated[str, typer.Option(help="This hour alone: 2026-11-27T13:00Z.")] = "",
    team: Annotated[str, typer.Option(help="This team alone.")] = "",
    service: Annotated[str, typer.Option(help="This service alone.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Merge, and push nothing.")] = False,
    lease: Annotated[
        str, typer.Option(help="Lease of the pod's namespace to hold meanwhile, so that no other run merges.")
    ] = "",
    parallel: Annotated[
        int,
        typer.Option(min=1, max=8, help="Profiles in memory at once; the gateway lets 8 queries of a tenant in."),
    ] = 2,
) -> None:
    """Merge each closed hour of the last 20 into one profile per service, type and version.

    Running it again counts nothing twice; two runs at once may, so within the cluster each holds --lease, and refuses
    to start while another has it. Outside of it there is no lock: only while the job does not run (it starts seven
    minutes past each hour; `kubectl -n flameplane-system get jobs`).

    Exit codes: 0 all is merged; 1 an hour is too late, a type is not known or the tiers do not agree; 2 wrong use; 3
    something failed or another run held the lock, and will be tried again by the next run.
    """
    from flameplane.backend import Gateway  # noqa: PLC0415
    from flameplane.downsample.ledger import Tiers  # noqa: PLC0415
    from flameplane.downsample.lock import NotTaken  # noqa: PLC0415
    from flameplane.downsample.run import Job, run, summary  # noqa: PLC0415

    now = int(time.time() * 1000)
    door = Gateway(gateway, gateway_token, parallel)
    declared = _catalog(catalog)
    names = _teams(declared, team, service)
    teams = [Tiers(door, name, f"{name}{longterm_suffix}", service) for name in names]
    hours = _hours(hour, now)
    _refuse_unseen(declared, names, hours, now)
    try:
        with _alone(lease, dry_run) as ends:
            job = Job(hours, now, parallel, dry_run, lambda text: typer.echo(text, err=True), ends)
            results = run(job, teams)
    except NotTaken as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILURE) from error
    typer.echo(summary(job, results))
    written = True
    if prometheus and not (hour or team or service or dry_run):  # a part says nothing of how far the whole is
        written = _write(prometheus, results)
    if not written or any(result.failures for result in results):
        raise typer.Exit(FAILURE)
    raise typer.Exit(FINDINGS if any(result.findings for result in results) else 0)


@contextmanager
def _alone(lease: str, dry_run: bool) -> "Iterator[float]":
    """Until when this run is the only one that merges."""
    from flameplane.downsample import lock  # noqa: PLC0415

    if dry_run:
        yield inf
    elif lease:
        # A pod that is drained ends soon, and gives the lock back: as pid 1 it would not hear SIGTERM otherwise.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            with lock.held(lease, lock.in_cluster()) as ends:
                yield ends
        finally:
            signal.signal(signal.SIGTERM, before)
    else:
        typer.echo("without --lease no lock is taken: nothing keeps another run from merging the same hours", err=True)
        yield inf


def _catalog(folder: Path | None) -> "Catalog":
    from flameplane.catalog import load  # noqa: PLC0415
    from flameplane.catalog.mounted import NotMounted, read_mounted  # noqa: PLC0415
    from flameplane.cli.root import project  # noqa: PLC0415

    if folder:
        try:
            return read_mounted(folder)
        except NotMounted as error:
            raise typer.BadParameter(str(error), param_hint="--catalog") from error
    loaded = load(project())
    if loaded.catalog is None:
        typer.echo("services/ has mistakes; `flameplane validate` shows them", err=True)
        raise typer.Exit(FINDINGS)
    return loaded.catalog


def _teams(catalog: "Catalog", team: str, service: str) -> list[str]:
    """The teams to go through; what is named has to be declared."""
    # What is being erased is not stored anew.
    names = [one.name for one in catalog.teams if not one.spec.erase]
    erased = {one.name for one in catalog.teams if one.spec.erase}
    if team in erased:
        raise typer.BadParameter(f"team {team} is being erased: nothing of it is stored anew", param_hint="--team")
    if team and team not in names:
        raise typer.BadParameter(f"there is no team {team}; valid: {', '.join(names)}", param_hint="--team")
    if service:
        owners = {one.name: one.team for one in catalog.services}
        if service not in owners:
            raise typer.BadParameter(f"there is no service {service}; see services/", param_hint="--service")
        if team and owners[service] != team:
            raise typer.BadParameter(f"{service} is of team {owners[service]}", param_hint="--service")
        if owners[service] in erased:
            words = f"{service} is of team {owners[service]}, which is being erased: nothing of it is stored anew"
            raise typer.BadParameter(words, param_hint="--service")
        return [owners[service]]
    return [team] if team else names


def _hours(text: str, now: int) -> "Sequence[Hour]":
    from flameplane.downsample.hours import SETTLES, instant, parse, recent  # noqa: PLC0415

    if not text:
        return recent(now)
    try:
        hour = parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--hour") from error
    if hour.state(now) == "open":
        when = instant(hour.end + SETTLES)
        raise typer.BadParameter(f"{text} is not closed: profiles of it are taken until {when}", param_hint="--hour")
    return [hour]


def _refuse_unseen(catalog: "Catalog", names: "Sequence[str]", hours: "Sequence[Hour]", now: int) -> None:
    """The fine tier answers with nothing for what is past its time, which must not look as if all were merged."""
    from schemas.allowed import LONGEST_KEPT_DAYS  # noqa: PLC0415

    kept = {one.name: min(one.spec.retention.fine_days, LONGEST_KEPT_DAYS) for one in catalog.teams}
    blind = [f"{name} ({kept[name]} days)" for name in names if hours[0].start < now - kept[name] * 24 * 3_600_000]
    if blind:
        words = f"{hours[0]} is older than fine profiles are kept of {', '.join(blind)}: what is missing cannot be seen"
        typer.echo(words, err=True)
        raise typer.Exit(FINDINGS)


def _write(url: str, results: "Sequence[TeamRun]") -> bool:
    from flameplane.prometheus import NotWritten, write  # noqa: PLC0415

    figures = [figure for result in results if result.read for figure in _figures(result)]
    if not figures:
        return True  # nothing is known; the failure is told
    try:
        write(url, figures)
    except NotWritten as error:
        typer.echo(f"the figures are not written, so an alert will fire: {error}", err=True)
        return False
    return True


def _figures(result: "TeamRun") -> "list[Figure]":
    from flameplane.prometheus import Figure  # noqa: PLC0415

    tenant = {"tenant": result.team}
    return [
        Figure("flameplane_downsample_merged_until_timestamp_seconds", result.until / 1000, tenant),
        Figure("flameplane_downsample_lost_hours", len(result.late), tenant),
        Figure("flameplane_downsample_unknown_types", len(result.unknown), tenant),
    ]
