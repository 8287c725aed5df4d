"""Checks every object against the SDK's own types: dict arguments pass misspelt keys on without a word.

What the SDK has no type for (custom resources) is checked in its metadata alone; the API server judges the rest.
Inputs of cloud resources are checked in the same way, as they are sent.
"""

import importlib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Final

from pulumi import _types

from flameplane.catalog.suggest import closest
from flameplane.findings import Finding
from flameplane.plan.manifests import cloud_kind, manifest, title
from flameplane.plan.places import python_line
from flameplane.plan.recording import Recording
from flameplane.plan.values import UNKNOWN, Secret

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_SCALARS: Final = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class _Problem(typing.NamedTuple):
    id: str
    path: str
    message: str
    valid: tuple[str, ...] = ()
    fix: str = ""


def check_fields(recording: Recording, root: Path) -> list[Finding]:
    """A finding per unknown field (PLN010), missing field (PLN011) and value of the wrong type (PLN012)."""
    findings = []
    for resource in recording.resources:
        if obj := manifest(resource):
            where = python_line(resource, root)
            for problem in _problems(obj, resource.type):
                text = f"{title(obj)}: {problem.path}: {problem.message}"
                findings.append(
                    Finding(problem.id, "error", text, where, problem.valid, problem.fix, subject=resource.urn)
                )
        elif (kind := cloud_kind(resource)) and (arguments := _cloud_arguments(resource.type)):
            where = python_line(resource, root)
            for problem in _object(resource.inputs, arguments, ""):
                text = f"{kind} {resource.name!r}: {problem.path}: {problem.message}"
                findings.append(
                    Finding(problem.id, "error", text, where, problem.valid, problem.fix, subject=resource.urn)
                )
    return findings


def _problems(obj: Mapping[str, Any], token: str) -> Iterator[_Problem]:
    if kind := _arguments(token):
        yield from _object(obj, kind, "")
    else:
        meta = importlib.import_module("pulumi_kubernetes.meta.v1")
        yield from _object(obj.get("metadata", {}), meta.ObjectMetaArgs, "metadata")


def _object(value: Any, kind: type, path: str) -> Iterator[_Problem]:
    if not isinstance(value, Mapping):
        yield _Problem("PLN012", path, f"a map is wanted, not {_shown(value)}")
        return
    fields, required = _fields(kind)
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        if key in fields:
            yield from _value(item, fields[key], at)
        elif guess := closest(key, fields):
            yield _Problem("PLN010", at, "there is no such field", fix=f"Did you mean {guess}?")
        else:
            yield _Problem("PLN010", at, "there is no such field", tuple(sorted(fields)))
    for key in sorted(required - value.keys()):
        yield _Problem("PLN011", f"{path}.{key}" if path else key, "the field is required")


def _value(value: Any, kind: Any, path: str) -> Iterator[_Problem]:
    if value is UNKNOWN or isinstance(value, Secret):
        return
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and _types.is_input_type(kind):
        yield from _object(value, kind, path)
    elif origin in (dict, Mapping) and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _value(item, _types.unwrap_type(inner[1]), f"{path}.{key}")
    elif origin in (list, Sequence) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _value(item, _types.unwrap_type(inner[0]), f"{path}[{index}]")
    elif origin in (dict, Mapping, list, Sequence):
        yield _Problem(
            "PLN012", path, f"a {'map' if origin in (dict, Mapping) else 'list'} is wanted, not {_shown(value)}"
        )
    elif kind in _SCALARS and not _fits(value, kind):
        yield _Problem("PLN012", path, f"{_SCALARS[kind]} is wanted, not {_shown(value)}")


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind


def _shown(value: Any) -> str:
    return "a map" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else f"{value!r}"


@cache
def _arguments(token: str) -> type | None:
    """The SDK's arguments of a type as ``kubernetes:rbac.authorization.k8s.io/v1:Role``; None where it has none."""
    _, module, name = token.split(":")
    group, _, version = module.partition("/")
    try:
        found = importlib.import_module(f"pulumi_kubernetes.{group.partition('.')[0]}.{version}.{name}")
    except ImportError:
        return None
    arguments: type | None = vars(found).get(f"{name}InitArgs")
    return arguments


@cache
def _cloud_arguments(token: str) -> type | None:
    """The SDK's arguments of a type as ``aws:s3/bucketPolicy:BucketPolicy``; None where there is no such SDK."""
    package, module, name = token.split(":")
    service, _, file = module.partition("/")
    try:
        found = importlib.import_module(f"pulumi_{package}.{service}.{_CAPITAL.sub(r'_', file).lower()}")
    except ImportError:
        return None
    # Where an argument of another resource has that name, the resource's own are called InitArgs.
    arguments: type | None = vars(found).get(f"{name}InitArgs") or vars(found).get(f"{name}Args")
    return arguments


@cache
def _fields(kind: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Fields of an argument type by their Kubernetes name, and the required ones."""
    hints = _types._raw_return_hints(kind)
    fields = {name: _types.unwrap_type(hint) for name, hint in hints.items()}
    return fields, frozenset(name for name, hint in hints.items() if NoneType not in typing.get_args(hint))
