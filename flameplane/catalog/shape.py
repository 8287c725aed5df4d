"""The shape of the models, as findings need it: which keys are valid where, and what a missing one looks like."""

import re
import types
import typing
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flameplane.catalog.tree import Path


def resolve(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[Path, Any]:
    """The YAML path of a pydantic error location, and the annotation found there.

    pydantic puts the tag of a discriminated union and ``[key]`` of a map's keys into its locations; YAML has neither.
    """
    path: list[str | int] = []
    annotation: Any = model
    for step in loc:
        annotation = bare(annotation)
        members = models(annotation)
        if len(members) > 1:
            annotation = next((m for m in members if tag(m) == step), members[0])
            continue
        if step == "[key]":
            continue
        path.append(step)
        if members:
            field = field_of(members[0], str(step))
            annotation = field.annotation if field else Any
        else:
            arguments = typing.get_args(annotation)
            annotation = arguments[-1] if arguments else Any
    return tuple(path), bare(annotation)


def follow(model: type[BaseModel], path: Path) -> Any:
    """The annotation at a path of the file; of a union, that of the first member that has it."""
    found: list[Any] = [model]
    for step in path:
        below: list[Any] = []
        for annotation in map(bare, found):
            if members := models(annotation):
                below += [info.annotation for m in members if (info := field_of(m, str(step)))]
            else:
                below += typing.get_args(annotation)[-1:]
        found = below
    return bare(found[0]) if found else Any


def bare(annotation: Any) -> Any:
    """The annotation without ``Annotated`` and without ``None``."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(rest) == 1:
            return bare(rest[0])
    return annotation


def models(annotation: Any) -> list[type[BaseModel]]:
    """The models a value can be: one, or the members of a union; empty for anything else."""
    union = typing.get_origin(annotation) in (Annotated, Union, types.UnionType)
    candidates = [bare(a) for a in typing.get_args(annotation)] if union else [annotation]
    return [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)] if candidates else []


def tag_key(model: type[BaseModel]) -> str | None:
    """The key that tells the members of a union apart: the one that can only have a single value."""
    return next((key for key, info in fields(model).items() if _only_value(info)), None)


def tag(model: type[BaseModel]) -> str | None:
    """The value of that key which selects the model."""
    key = tag_key(model)
    return _only_value(fields(model)[key]) if key else None


def _only_value(info: FieldInfo) -> str | None:
    values = typing.get_args(info.annotation) if typing.get_origin(info.annotation) is Literal else ()
    return values[0] if len(values) == 1 and info.is_required() else None


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by the name they have in YAML."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    """The field that ``key`` stands for, if the model has it."""
    return fields(model).get(key)


def info_at(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field at a path of the file; None for entries of lists and maps."""
    owners = models(follow(model, path[:-1])) if path else []
    return next((info for owner in owners if (info := field_of(owner, str(path[-1])))), None)


def kind(annotation: Any) -> str:
    """What a value of the annotation is, in words."""
    annotation = bare(annotation)
    origin = typing.get_origin(annotation) or annotation
    if origin is list:
        return "a list"
    if origin is dict or models(annotation):
        return "a map"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(origin, "one of " + ", ".join(map(str, typing.get_args(annotation))))


def example(info: FieldInfo) -> Any:
    """A value to paste: the field's example, else its default."""
    if info.examples:
        return info.examples[0]
    if not info.is_required():
        return info.get_default()
    if members := models(bare(info.annotation)):
        return {key: example(field) for key, field in fields(members[0]).items() if field.is_required()}
    values = typing.get_args(info.annotation)
    return values[0] if typing.get_origin(info.annotation) is Literal else None


def snippet(path: Path, value: Any) -> str:
    """YAML that sets ``path`` to ``value``, to paste."""
    lines = [f"{'  ' * i}{step}:" for i, step in enumerate(path)]
    text = inline(value)
    lines[-1] += f" {text}" if text else " ..."
    return "\n".join(lines)


def inline(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        risky = (
            not value
            or re.fullmatch(
                r"[-+.0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}t.*|true|false|null|yes|no|on|off|y|n|~", value.lower()
            )
            or value[0] in "#@`%&*!|>'\"[]{}?-"
            or any(part in value for part in (": ", " #", "{", '"'))
        )
        return "'" + value.replace("'", "''") + "'" if risky else value
    return "" if value is None else str(value)
