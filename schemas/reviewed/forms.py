"""What stands in a reviewed document for a value that settings or services/ decide."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Text:
    """A text of a form; ``words`` say it in a message."""

    pattern: str
    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Range:
    """A number, or a quantity such as 500m or 2Gi, between two others."""

    least: str | int
    most: str | int

    def __str__(self) -> str:
        return f"{self.least} to {self.most}"


@dataclass(frozen=True)
class OneOf:
    """One of some values."""

    values: Sequence[Any]

    def __str__(self) -> str:
        return " or ".join(str(v) for v in self.values)


@dataclass(frozen=True)
class Maybe:
    """A key that may be absent."""

    value: Any

    def __str__(self) -> str:
        return f"nothing, or {self.value}"


@dataclass(frozen=True)
class Unordered:
    """A list whose order says nothing, each entry once."""

    entries: Sequence[Any]

    def __str__(self) -> str:
        return "[" + ", ".join(str(e) for e in self.entries) + "]"


ANY: Final = Text(".*", "anything")  # any value but none at all
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?")
_UNITS: Final = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def quantity(value: Any) -> float | None:
    """A Kubernetes quantity as a number; None for what is none."""
    found = _QUANTITY.fullmatch(str(value))
    return None if found is None else float(found[1]) * _UNITS.get(found[2] or "", 1)
