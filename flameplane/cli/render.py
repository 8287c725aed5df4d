"""`flameplane render`: the objects of one environment as files, for GitOps and for sites without a way to pull."""

from pathlib import Path
from typing import Annotated

import typer

from flameplane.cli.plan import FINDINGS, Services, Stack, blocking, declared, fail, project_root, recorded, stop
from flameplane.findings import format_findings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(render)


def render(
    stack: Stack,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="New, empty, or from an earlier render.")],
    services: Services = None,
) -> None:
    """Write one YAML file per object to DIR/<namespace or _cluster>/<kind>-<name>.yaml.

    Kubernetes objects only: what is declared in a cloud account is counted and left out. Files of an earlier run that
    are no longer declared are removed; files of anybody else are never touched.
    """
    root = project_root(stack, services)
    _, findings = declared(root, stack, services)
    if blocking(findings):
        stop(findings, root)
    typer.echo(format_findings(findings, "text", root), err=True, nl=False)
    from flameplane.plan import NotOurs, ProgramFailed, UnknownValues, cloud_kind  # noqa: PLC0415
    from flameplane.plan import render as write_manifests  # noqa: PLC0415

    try:
        recording = recorded(root, stack, services)
        written = write_manifests(recording, out, root)
    except ProgramFailed as error:
        fail(error.message)
    except UnknownValues as error:
        typer.echo(format_findings(error.findings, "text", root), err=True, nl=False)
        typer.echo("nothing was written", err=True)
        raise typer.Exit(FINDINGS) from error
    except NotOurs as error:
        raise typer.BadParameter(str(error), param_hint="--output") from error
    except OSError as error:
        raise typer.BadParameter(f"cannot write {error.filename}: {error.strerror}", param_hint="--output") from error
    left_out = sum(cloud_kind(resource) is not None for resource in recording.resources)
    cloud = (
        f"; {left_out} cloud resources are left out: they have no manifest, `pulumi up` makes them" if left_out else ""
    )
    typer.echo(f"{len(written)} objects in {out}{cloud}")
