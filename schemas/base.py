"""The base of every declared model, and the field types they share."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

# What a pattern asks for, in words: for findings, and for editors (`patternErrorMessage` in the published schemas).
FORMS: Final[dict[str, str]] = {}


def form(pattern: str, words: str) -> StringConstraints:
    """A pattern together with what it asks for, since nobody can read a regular expression in an error."""
    FORMS[pattern] = words
    return StringConstraints(pattern=pattern)


def means(**meanings: str) -> dict[str, Any]:
    """What each value of a closed list means, for editors; to be used as ``json_schema_extra``, in the list's order."""
    return {"markdownEnumDescriptions": list(meanings.values())}


# A host by name or address, and a port: parts of the forms of URLs.
LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST: Final = rf"{LABEL}(\.{LABEL})*"
PORT: Final = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
# Characters that are not seen, so that two names could look alike.
UNSEEN: Final = r"\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"

ApiVersion = Literal["flameplane.dev/v1"]
Environment = Literal["local", "dev", "staging", "prod"]
# RFC 1123 label, kept to 40 characters so that every object name made from a team and a service fits into 63 + a
# suffix.
NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
Name = Annotated[
    str,
    form(
        NAME,
        "lower-case letters, digits and hyphens, at most 40, starting and ending with a letter or digit",
    ),
]
# RFC 1123 label, whole: no object's name is made from it.
Namespace = Annotated[
    str,
    form(
        r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        "a namespace: lower-case letters, digits and hyphens, at most 63, starting and ending with a letter or digit",
    ),
]
# `.` would end at a line break, which is content here.
Text = Annotated[str, form(r"\S", "text that is more than blanks")]
Slack = Annotated[
    str, form(r"^#[a-z0-9][a-z0-9_-]{0,79}$", 'a channel with its #, in quotes, in lower case: "#payments-perf"')
]
Positive = Annotated[float, Field(gt=0)]


class Conflict(NamedTuple):
    """Values that do not go together; ``rule`` is the number of the finding it becomes (``flameplane.catalog.rules``).

    ``path`` leads to the value at fault, relative to the model that found it; ``valid`` lists the values that would do
    (empty: no closed list); ``because`` leads to the other value that plays a part, if there is one. ``reads`` are
    paths of further values that decide: a rule is not told where any of them is wrong itself.
    """

    rule: str
    path: tuple[str | int, ...]
    message: str
    valid: tuple[object, ...] = ()
    because: tuple[str | int, ...] = ()
    reads: tuple[tuple[str | int, ...], ...] = ()


class CrossFieldError(ValueError):
    """Rules over several fields are broken: all of them at once, so that one run tells them all."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        super().__init__("; ".join(c.message for c in conflicts))
        self.conflicts = tuple(conflicts)


def refuse(conflicts: Sequence[Conflict]) -> None:
    """Raise what validators found, if anything."""
    if conflicts:
        raise CrossFieldError(conflicts)


def _unique(items: list[Any]) -> list[Any]:
    twice = [(i, items.index(item), item) for i, item in enumerate(items) if item in items[:i]]
    refuse([Conflict("027", (i,), f"{item} is listed twice", because=(first,)) for i, first, item in twice])
    return items


class _Unique:
    """No entry twice, said in the JSON Schema too."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_unique, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}


# For lists whose entries are a set: `Annotated[list[...], UNIQUE]`.
UNIQUE: Final = _Unique()


class Model(BaseModel):
    """A part of a declaration: camelCase in YAML, no unknown key, no coercion (``"99"`` is not a number), immutable."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )
