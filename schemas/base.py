"""The base of every declared model, and the field types they share."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

ApiVersion = Literal["flameplane.dev/v1"]
# RFC 1123 label, kept to 40 characters so that every object name made from a team and a service fits into 63 + a suffix.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
Slack = Annotated[str, StringConstraints(pattern=r"^#[a-z0-9][a-z0-9_-]{0,79}$")]
Positive = Annotated[float, Field(gt=0)]


class Model(BaseModel):
    """A part of a declaration: camelCase in YAML, no unknown key, no coercion (``"99"`` is not a number), immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class CrossFieldError(ValueError):
    """A rule over several fields is broken; carries the YAML path of the value at fault so that a finding can point at it.

    ``path`` is relative to the model that raised it; ``valid`` lists the values that would do (empty: no closed list).
    """

    def __init__(self, path: tuple[str, ...], value: object, valid: tuple[object, ...], message: str) -> None:
        super().__init__(message)
        self.path, self.value, self.valid, self.message = path, value, valid, message
