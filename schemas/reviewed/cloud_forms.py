"""The forms that a value of a cloud resource may have. Which inputs there may be at all stands in cloud_inputs.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.reviewed.cloud import Statement

COMPONENT: Final = "flameplane:component"  # the tag by which the bill is split


class Form:
    """What one value may be. ``example`` is a value that fits."""

    optional: bool = False

    def fits(self, value: Any) -> bool:
        """Whether a value is one of these."""
        raise NotImplementedError

    def example(self) -> Any:
        """One of them."""
        raise NotImplementedError


Forms = Mapping[str, "Form | Forms"]


class Is(Form):
    """One of few values, the first of which is the usual; ``optional``: left out, the provider takes the first."""

    def __init__(self, *values: Any, optional: bool = False) -> None:
        self.values, self.optional = values, optional

    def fits(self, value: Any) -> bool:
        return any(_same(value, v) for v in self.values)

    def example(self) -> Any:
        return self.values[0]

    def __str__(self) -> str:
        return " or ".join(shown(v) for v in self.values)


@dataclass(frozen=True)
class Between(Form):
    """A number, both ends included."""

    low: float
    high: float

    def fits(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    def example(self) -> Any:
        return self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Amount(Form):
    """A number that is sent as text."""

    value: float

    def fits(self, value: Any) -> bool:
        try:
            return float(value) == self.value
        except (TypeError, ValueError):
            return False

    def example(self) -> Any:
        return f"{self.value:.2f}"

    def __str__(self) -> str:
        return self.example()


class Text(Form):
    """Words for people."""

    optional = True

    def fits(self, value: Any) -> bool:
        return isinstance(value, str)

    def example(self) -> Any:
        return "words"

    def __str__(self) -> str:
        return "a text"


class Later(Form):
    """What the cloud says after apply, and nobody writes down: the id of a new key."""

    def fits(self, value: Any) -> bool:
        return value is None or (isinstance(value, str) and len(value) == len("00000000-0000-0000-0000-000000000000"))

    def example(self) -> Any:
        return None

    def __str__(self) -> str:
        return "the output of the resource it belongs to"


class Unordered(Form):
    """A list whose order means nothing."""

    def __init__(self, *values: Any) -> None:
        self.values = list(values)

    def fits(self, value: Any) -> bool:
        fits = isinstance(value, list) and len(value) == len(self.values)
        return fits and all(any(_same(found, v) for found in value) for v in self.values)

    def example(self) -> Any:
        return self.values

    def __str__(self) -> str:
        return shown(self.values)


class Tags(Form):
    """The tag of the component, and others that do not say something else than the tags of the environment."""

    def __init__(self, component: str, environment: Mapping[str, str]) -> None:
        self.own, self.environment = {COMPONENT: component}, environment

    def fits(self, value: Any) -> bool:
        said = {**self.environment, **self.own}
        return isinstance(value, dict) and self.own.keys() <= value.keys() and not _otherwise(value, said)

    def example(self) -> Any:
        return self.own

    def __str__(self) -> str:
        return f"{shown(self.own)}, and no other value for {', '.join(sorted(self.environment))}"


class Rows(Form):
    """A list of maps, each known by its ``id``."""

    def __init__(self, *rows: Forms) -> None:
        self.rows = {row["id"].example(): row for row in rows if isinstance(row["id"], Form)}

    def example(self) -> Any:
        return [example(row) for row in self.rows.values()]

    def __str__(self) -> str:
        return f"the rules {', '.join(self.rows)}"


class One(Form):
    """A list of one map."""

    def __init__(self, form: Forms) -> None:
        self.form = form

    def example(self) -> Any:
        return [example(self.form)]

    def __str__(self) -> str:
        return "a list of one"


@dataclass(frozen=True)
class Document(Form):
    """A policy document: a text that a rule of its own reads, statement by statement."""

    statements: list[Statement]

    def fits(self, value: Any) -> bool:
        return True

    def example(self) -> Any:
        raise NotImplementedError  # only who reads documents writes them


def example(forms: Forms) -> dict[str, Any]:
    """A map that fits."""
    return {
        key: form.example() if isinstance(form, Form) else example(form)
        for key, form in forms.items()
        if not (isinstance(form, (Document, Text)) or (isinstance(form, Form) and form.optional))
    }


def _same(found: Any, wanted: Any) -> bool:
    """Equal, but for what the cloud shows as empty in a map."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(_same(found.get(k), wanted[k]) for k in wanted) and not any(
            found[k] for k in found if k not in wanted
        )
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(_same(f, w) for f, w in zip(found, wanted, strict=True))
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _otherwise(value: Mapping[str, Any], said: Mapping[str, str]) -> bool:
    return any(value[key] != said[key] for key in said.keys() & value.keys())


def shown(value: Any, inner: bool = False) -> str:
    """A value as messages show it, whatever order its keys came in."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {shown(value[key], inner=True)}" for key in sorted(value))
        return f"{{{text}}}" if inner else text
    if isinstance(value, list):
        text = ", ".join(shown(one, inner=True) for one in value)
        return f"[{text}]" if inner else text or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)
