"""`flameplane explain`: what a service gets in the end, and which line of which file decided it."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flameplane.cli import complete
from flameplane.cli.root import declared, project
from flameplane.findings import Location

if TYPE_CHECKING:
    from flameplane.catalog.explain import Bound

FORMATS = ("text", "json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explain)


def explain(
    service: Annotated[str, typer.Argument(help="Name of the service.", autocompletion=complete.services)],
    fmt: Annotated[str, typer.Option("--format", "-f", metavar="|".join(FORMATS))] = "text",
) -> None:
    """Show every effective value of a service, the line it came from, and the organisation's limits on it."""
    if fmt not in FORMATS:
        raise typer.BadParameter(f"unknown format {fmt}; one of {', '.join(FORMATS)}", param_hint="--format")
    root = project()
    from flameplane.catalog.explain import explain as effective_values  # noqa: PLC0415
    from flameplane.catalog.suggest import closest  # noqa: PLC0415

    loaded, catalog = declared(root)
    known = {s.name: s for s in catalog.services}
    if service not in known:
        guess = closest(service, known)
        hint = f"did you mean {guess}?" if guess else f"declared are {', '.join(known)}"
        raise typer.BadParameter(f"there is no service {service}; {hint}", param_hint="SERVICE")
    values = effective_values(known[service], loaded.sources, catalog)
    if fmt == "json":
        document = {"service": service, "values": [asdict(value) for value in values]}
        typer.echo(json.dumps(document, indent=2))  # in ASCII: no character of a value steers the terminal
        return
    rows = [(v.path, _shown(v.value), _origin(v.origin), "; ".join(map(_limit, v.limits))) for v in values]
    first, second, third = (max(len(row[i]) for row in rows) for i in (0, 1, 2))
    for path, value, origin, limits in rows:
        typer.echo(f"{path:<{first}}  {value:<{min(second, 48)}}  {origin:<{third}}  {limits}".rstrip())


def _origin(at: Location | None) -> str:
    return str(at) if at else "built-in default"


def _limit(bound: "Bound") -> str:
    return f"{bound.text} ({bound.origin})" if bound.origin else bound.text


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str) and value.isprintable():
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)
