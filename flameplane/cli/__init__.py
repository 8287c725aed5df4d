"""The command line. Exit codes: 0 clean, 1 findings, 2 usage, 3 failure.

Every module of this package exposes ``register(app)`` and imports what it needs inside its commands, so that
``flameplane validate`` does not wait for gRPC or a cluster client.
"""

import io
import os
import sys
import traceback
from typing import Annotated

import typer

from flameplane import __version__
from flameplane.cli import (
    audit,
    codeowners,
    downsample,
    erase,
    explain,
    export,
    images,
    local,
    new,
    plan,
    render,
    schema,
    validate,
)

OK, FINDINGS, USAGE, FAILURE = 0, 1, 2, 3

app = typer.Typer(
    name="flameplane",
    help="Continuous profiling that services declare, policies review and one command provisions.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure (or FLAMEPLANE_DEBUG=1).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if debug:
        os.environ["FLAMEPLANE_DEBUG"] = "1"


for _module in (
    validate,
    explain,
    new,
    schema,
    plan,
    render,
    images,
    local,
    codeowners,
    export,
    audit,
    downsample,
    erase,
):
    _module.register(app)


def main() -> None:
    """Run the command line; a failure that nobody foresaw is one line and exit code 3, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 gets escapes, not a failure
    try:
        app()
    except Exception as error:  # the last resort: every foreseen failure has been told by then
        if os.environ.get("FLAMEPLANE_DEBUG") == "1":
            traceback.print_exc()
        else:
            reason = " ".join(str(error).split()) or "no message"
            sys.stderr.write(f"flameplane: {type(error).__name__}: {reason} (--debug shows where)\n")
        sys.exit(FAILURE)
