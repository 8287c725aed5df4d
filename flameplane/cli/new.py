"""`flameplane new`: the first service.yaml of a service, asked for on a terminal or given by flags."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flameplane.cli import complete
from flameplane.cli.questions import Questions, a_name, one_of
from flameplane.cli.root import declared, project
from schemas.allowed import LANGUAGES


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(new)


def new(
    *,
    team: Annotated[
        str | None, typer.Option("--team", help="Team that owns it.", autocompletion=complete.teams)
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the service.")] = None,
    language: Annotated[
        str | None, typer.Option("--language", metavar="|".join(LANGUAGES), autocompletion=complete.languages)
    ] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Kubernetes namespace of its pods.")] = None,
    selector: Annotated[
        list[str] | None, typer.Option("--selector", metavar="LABEL=VALUE", help="Label of its pods; repeat for more.")
    ] = None,
    repository: Annotated[str | None, typer.Option("--repository", help="https URL of its Git repository.")] = None,
    slack: Annotated[str | None, typer.Option("--slack", help="Channel for its alerts; default: the team's.")] = None,
    rate: Annotated[int | None, typer.Option("--rate", help="CPU samples per second; default: inherited.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Profile type; repeat for more; default: inherited.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the file; write nothing.")] = False,
) -> None:
    """Write the service.yaml of a new service, after the validator has passed it.

    On a terminal it asks for what the flags leave out. It never replaces a file.
    """
    root = project()
    from flameplane.catalog import scaffold  # noqa: PLC0415

    _, catalog = declared(root, "nothing was written: correct what is declared first")
    known = [t.name for t in catalog.teams]
    host = catalog.organisation.spec.repository_hosts[0]
    organisation = catalog.organisation.metadata.name
    given = {"team": team, "name": name, "language": language, "namespace": namespace, "repository": repository}
    ask = Questions(given | {"selector": selector or None})
    team = ask("team", "Team", one_of(known, "team"))
    name = ask("name", "Name of the service", a_name)
    made = scaffold.NewService(
        team=team,
        name=name,
        language=ask("language", f"Language ({', '.join(LANGUAGES)})", one_of(LANGUAGES, "language")),
        namespace=ask("namespace", "Namespace of its pods", str, team),
        selector=ask("selector", "Labels of its pods", labels, f"app.kubernetes.io/name={name}"),
        repository=ask("repository", "Git repository", str, f"https://{host}/{organisation}/{name}"),
        slack=slack,
        rate=rate,
        types=tuple(types or ()),
    )
    _write(root, made, dry_run)


def labels(given: str | Sequence[str]) -> dict[str, str]:
    """Labels from ``key=value``, several in one text apart by commas or blanks."""
    parts = given.replace(",", " ").split() if isinstance(given, str) else given
    pairs = [part.partition("=") for part in parts]
    if not pairs or not all(key and value for key, _, value in pairs):
        raise typer.BadParameter("labels are written LABEL=VALUE, as in app.kubernetes.io/name=checkout")
    return {key: value for key, _, value in pairs}


def _write(root: Path, made: Any, dry_run: bool) -> None:
    from flameplane.catalog import scaffold  # noqa: PLC0415

    exists = f"{made.path} exists already; it is not replaced"
    if (root / made.path).exists() or (root / made.path).is_symlink():
        raise typer.BadParameter(exists, param_hint="--name")
    drafted = scaffold.draft(root, made)
    if drafted.findings:
        typer.echo(drafted.shown, err=True, nl=False)
        typer.echo("nothing was written", err=True)
        raise typer.Exit(1)
    if dry_run:
        typer.echo(drafted.text, nl=False)
        typer.echo(f"{made.path} was not written: --dry-run", err=True)
        return
    try:
        scaffold.write(root, made, drafted.text)
    except FileExistsError as error:
        raise typer.BadParameter(exists, param_hint="--name") from error
    typer.echo(f"{made.path} written; what it gets: flameplane explain {made.name}", err=True)
