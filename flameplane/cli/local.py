"""`flameplane local up|down|status`: environment local on this machine, or on a cluster that is named.

What does the work is imported when a command runs: it loads Pulumi, which would slow down every other command.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from flameplane.cli.root import project
from flameplane.local.choice import Choice

OK, FINDINGS, FAILURE = 0, 1, 3

app = typer.Typer(no_args_is_help=True, help="Run environment `local` on a real Kubernetes on this machine.")
Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", metavar="PATH", help="Use an existing cluster; needs --context.")
]
Context = Annotated[str | None, typer.Option("--context", metavar="NAME", help="Context of the existing cluster.")]
Kind = Annotated[bool, typer.Option("--kind", help="Use a cluster of our own in kind (needs kind and Docker).")]


def register(parent: typer.Typer) -> None:
    """Add the commands to the CLI."""
    parent.add_typer(app, name="local")


@app.command()
def up(  # noqa: PLR0917 - one parameter per option
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    kind: Kind = False,
    yes_prune: Annotated[
        bool,
        typer.Option("--yes-prune", help="Remove objects even if they are more than a fifth, or services/ is empty."),
    ] = False,
    force_conflicts: Annotated[
        bool, typer.Option("--force-conflicts", help="Take back fields that someone else changed on the cluster.")
    ] = False,
    without_pulumi: Annotated[
        bool, typer.Option("--without-pulumi", help="Use the built-in apply even if pulumi is on PATH.")
    ] = False,
    stack: Annotated[str, typer.Option("--stack", "-s", help="Stack; its environment has to be local.")] = "local",
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that workloads may take to get Ready.")] = 180,
) -> None:
    """Bring the platform up: cluster, images, everything that services/ declares. Safe to run at any time."""
    choice = _choice(kubeconfig, context, kind)

    def work(root: Path) -> bool:
        from flameplane.local import platform  # noqa: PLC0415

        options = platform.Options(choice, stack, yes_prune, force_conflicts, without_pulumi, timeout)
        platform.up(root, options, typer.echo)
        return True

    _run(work, "run it again, it goes on where it stopped")


@app.command()
def down(kubeconfig: Kubeconfig = None, context: Context = None, kind: Kind = False) -> None:
    """Take the platform down: a cluster of ours whole, from an existing cluster what `up` put there."""
    choice = _choice(kubeconfig, context, kind)

    def work(root: Path) -> bool:
        from flameplane.local import platform  # noqa: PLC0415

        platform.down(choice, typer.echo)
        return True

    _run(work, "run it again to finish")


@app.command()
def status(kubeconfig: Kubeconfig = None, context: Context = None, kind: Kind = False) -> None:
    """Show what runs where. Exits 0 when the platform is up and everything that can run is Ready, else 1."""
    choice = _choice(kubeconfig, context, kind)

    def work(root: Path) -> bool:
        from flameplane.local import platform  # noqa: PLC0415

        return platform.status(root, choice, typer.echo)

    _run(work, "nothing was changed")


def _choice(kubeconfig: Path | None, context: str | None, kind: bool) -> Choice:
    try:
        return Choice(kubeconfig, context, kind)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _run(work: Callable[[Path], bool], after_interrupt: str) -> None:
    """Do it, and turn what it raises into one message and an exit code."""
    root = _root()
    from flameplane.findings import format_findings  # noqa: PLC0415
    from flameplane.local.check import Findings  # noqa: PLC0415
    from flameplane.local.problem import Problem  # noqa: PLC0415
    from flameplane.plan import PackFailed, ProgramFailed  # noqa: PLC0415
    from local import LocalError  # noqa: PLC0415
    from local.cluster import CannotRun  # noqa: PLC0415

    try:
        code = OK if work(root) else FINDINGS
    except Findings as found:
        typer.echo(format_findings(found.findings, "text", root), err=True, nl=False)
        code = FINDINGS
    except ProgramFailed as failed:
        typer.echo(failed.findings_text or failed.message, err=True)
        code = FINDINGS if failed.findings_text else FAILURE
    except PackFailed as failed:
        typer.echo(f"The policy pack could not judge the program: {failed}", err=True)
        code = FAILURE
    except Problem as problem:
        typer.echo(problem.text(root), err=True, nl=False)
        code = FAILURE
    except LocalError as error:
        first, *details = str(error).splitlines()
        ident = "LOC001" if isinstance(error, CannotRun) else "LOC011"
        typer.echo(Problem(ident, first, details=details).text(root), err=True, nl=False)
        code = FAILURE
    except KeyboardInterrupt:
        typer.echo(f"Interrupted; {after_interrupt}.", err=True)
        code = FAILURE
    raise typer.Exit(code)


def _root() -> Path:
    """The project. Its `local` package, which is not installed with ours, is importable afterwards."""
    root = project()
    sys.path.insert(0, str(root))
    return root
