"""What stands in a reviewed document for a value that settings or services/ decide, or where more than one is right."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

NOTHING: Final = object()  # as an example: it is left out


@dataclass(frozen=True)
class Form(ABC):
    """A place where more than one value is right; ``str()`` says which."""

    @abstractmethod
    def fits(self, found: Any) -> bool:
        """Whether a value is one of them."""

    @abstractmethod
    def one(self) -> Any:
        """One of them."""


@dataclass(frozen=True)
class Text(Form):
    """A text that the pattern describes as a whole; ``words`` say it in a message."""

    pattern: str
    words: str
    example: str = ""

    def fits(self, found: Any) -> bool:
        return isinstance(found, str) and re.fullmatch(self.pattern, found) is not None

    def one(self) -> Any:
        return self.example

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Anything(Form):
    """Any value but none at all."""

    def fits(self, found: Any) -> bool:
        return found is not None

    def one(self) -> Any:
        return ""

    def __str__(self) -> str:
        return "anything"


@dataclass(frozen=True)
class Range(Form):
    """A number between two others; where these are texts, a quantity such as 500m or 2Gi."""

    least: str | float
    most: str | float

    def fits(self, found: Any) -> bool:
        if isinstance(found, bool) or (not isinstance(self.least, str) and not isinstance(found, int | float)):
            return False
        size, least, most = quantity(found), quantity(self.least), quantity(self.most)
        return None not in (size, least, most) and least <= size <= most  # type: ignore[operator]

    def one(self) -> Any:
        return self.least

    def __str__(self) -> str:
        return " to ".join(limit if isinstance(limit, str) else f"{limit:g}" for limit in (self.least, self.most))


@dataclass(frozen=True)
class OneOf(Form):
    """One of some values."""

    values: Sequence[Any]

    def fits(self, found: Any) -> bool:
        return any(found == v and isinstance(found, bool) == isinstance(v, bool) for v in self.values)

    def __str__(self) -> str:
        return " or ".join(str(v) or '""' for v in self.values)

    def one(self) -> Any:
        return self.values[0]


@dataclass(frozen=True)
class Maybe:
    """A key or an entry that may be absent."""

    value: Any

    def __str__(self) -> str:
        return f"nothing, or {self.value}"


@dataclass(frozen=True)
class Each:
    """A list of any length but none, each entry of which has to be the same."""

    value: Any

    def __str__(self) -> str:
        return "at least one entry"


ANY: Final = Anything()
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(m|Ki|Mi|Gi|Ti|k|M|G|T)?")
_UNITS: Final = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def quantity(value: Any) -> float | None:
    """A Kubernetes quantity as a number; None for what is none."""
    found = _QUANTITY.fullmatch(str(value))
    return None if found is None else float(found[1]) * _UNITS.get(found[2] or "", 1)


def example(wanted: Any) -> Any:
    """A value that is right; `NOTHING` where none is."""
    if wanted is None or isinstance(wanted, Maybe):
        return NOTHING
    if isinstance(wanted, Mapping):
        return {key: value for key, of in wanted.items() if (value := example(of)) is not NOTHING}
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return [value for of in wanted if (value := example(of)) is not NOTHING]
    if isinstance(wanted, Each):
        return [example(wanted.value)]
    return wanted.one() if isinstance(wanted, Form) else wanted
