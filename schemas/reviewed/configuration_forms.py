"""Places of a reviewed configuration where more than one value is right."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Form:
    """A place where more than one value is right; ``words`` say which."""

    words: str
    fits: Callable[[Any], bool]
    optional: bool = False  # it may also be left out


def one_of(*values: Any) -> Form:
    """Any of the values."""
    return Form(" or ".join(str(v) or '""' for v in values), lambda found: found in values)


def between(low: float, high: float) -> Form:
    """A number from ``low`` to ``high``."""

    def fits(found: Any) -> bool:
        return isinstance(found, (int, float)) and not isinstance(found, bool) and low <= found <= high

    return Form(f"{low:g} to {high:g}", fits)


def text(pattern: str, words: str) -> Form:
    """A text that the pattern describes as a whole."""
    compiled = re.compile(pattern)
    return Form(words, lambda found: isinstance(found, str) and compiled.fullmatch(found) is not None)
