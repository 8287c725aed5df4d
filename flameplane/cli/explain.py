"""`flameplane explain`: what a service gets in the end, and which line of which file decided it."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flameplane.findings import format_findings
from flameplane.project import NoProject, find_root

FORMATS = ("text", "json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    service: Annotated[str, typer.Argument(help="Name of the service.")],
    fmt: Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS))] = "text",
) -> None:
    """Show every effective value of a service with the file and line it came from."""
    if fmt not in FORMATS:
        raise typer.BadParameter(f"unknown format {fmt}; one of {', '.join(FORMATS)}", param_hint="--format")
    try:
        root = find_root()
    except NoProject as error:
        raise typer.BadParameter(str(error)) from error
    from flameplane.catalog import load  # noqa: PLC0415
    from flameplane.catalog.explain import explain as effective_values  # noqa: PLC0415
    from flameplane.catalog.suggest import closest  # noqa: PLC0415

    loaded = load(root)
    if loaded.catalog is None:
        typer.echo(format_findings(loaded.findings, "text", root), err=True, nl=False)
        raise typer.Exit(1)
    known = {s.name: s for s in loaded.catalog.services}
    if service not in known:
        guess = closest(service, known)
        hint = f"did you mean {guess}?" if guess else f"declared are {', '.join(known)}"
        raise typer.BadParameter(f"there is no service {service}; {hint}", param_hint="SERVICE")
    values = effective_values(known[service], loaded.sources)
    if fmt == "json":
        document = {"service": service, "values": [asdict(value) for value in values]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    rows = [(v.path, _shown(v.value), str(v.origin) if v.origin else "built-in default") for v in values]
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    for path, value, origin in rows:
        typer.echo(f"{path:<{first}}  {value:<{min(second, 48)}}  {origin}")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value, ensure_ascii=False)
