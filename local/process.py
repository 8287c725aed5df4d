"""Run a program; when it fails, say what failed and show the end of what it printed."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import LocalError

SHOWN_LINES = 15  # of a failed program's output; the rest is rarely the cause


def run(
    command: Sequence[str | Path], *, doing: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """The standard output of `command`. `doing` completes the sentence 'Could not ...' when it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, env=env, cwd=cwd, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError as error:
        raise LocalError(f"Could not {doing}: the program `{error.filename}` is not there.") from error
    except PermissionError as error:
        raise LocalError(f"Could not {doing}: `{error.filename}` may not be run ({error.strerror}).") from error
    if done.returncode != 0:
        said = [line for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if line.strip()]
        shown = "".join(f"\n  {line}" for line in said[-SHOWN_LINES:])
        raise LocalError(f"Could not {doing}: `{words[0]}` ended with code {done.returncode}.{shown}")
    return done.stdout
