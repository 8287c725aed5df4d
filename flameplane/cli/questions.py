"""Values that a command asks for on a terminal, and takes from flags elsewhere."""

import re
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

import typer

from schemas.base import FORMS, NAME


class Questions:
    """Values from flags, else from whoever sits at the terminal; without a terminal, all missing flags at once.

    ``usual`` are those whose default does where nobody can be asked.
    """

    def __init__(self, given: dict[str, Any], usual: Collection[str] = ()) -> None:
        self.given = given
        self.terminal = sys.stdin.isatty() and sys.stderr.isatty()
        missing = [f"--{key}" for key, value in given.items() if value is None and key not in usual]
        if missing and not self.terminal:
            message = f"missing: {', '.join(missing)}; without a terminal nothing is asked"
            raise typer.BadParameter(message, param_hint=missing[0])

    def __call__(self, key: str, text: str, parse: Callable[[Any], Any], default: str | None = None) -> Any:
        if (value := self.given[key]) is None and self.terminal:
            return typer.prompt(text, default=default, value_proc=parse, err=True)
        try:
            return parse(default if value is None else value)
        except typer.BadParameter as error:
            raise typer.BadParameter(error.message, param_hint=f"--{key}") from error


def one_of(known: Sequence[str], what: str) -> Callable[[str], str]:
    """A reader of names that have to be among ``known``."""

    def parse(text: str) -> str:
        if text in known:
            return text
        from flameplane.catalog.suggest import closest  # noqa: PLC0415

        guess = closest(text, known)
        meant = f"did you mean {guess}? " if guess else ""
        raise typer.BadParameter(f"there is no {what} {text}; {meant}{what}s are {', '.join(known)}")

    return parse


def a_name(text: str) -> str:
    """A name in the form of names: it becomes a file or a folder."""
    if re.fullmatch(NAME, text):
        return text
    raise typer.BadParameter(f"{text} is no name: {FORMS[NAME]}")
