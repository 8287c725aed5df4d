"""Policy documents as data: Python here, JSON with sorted keys on the wire, so that equal policies are equal texts."""

import json
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

# Operator -> condition key -> value or values.
Condition = Mapping[str, Mapping[str, str | Sequence[str]]]


class Statement(TypedDict):
    Sid: str
    Effect: str
    Principal: NotRequired[str | Mapping[str, str | Sequence[str]]]
    Action: str | Sequence[str]
    Resource: NotRequired[str | Sequence[str]]
    Condition: NotRequired[Condition]


def document(*statements: Statement) -> str:
    """A policy document. Everything in it is known before apply: a rule that reads it is never left without a value."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)


def merged(*conditions: Condition) -> Condition:
    """Conditions that all have to hold: their keys below each operator come together."""
    result: dict[str, dict[str, str | Sequence[str]]] = {}
    for condition in conditions:
        for operator, keys in condition.items():
            result.setdefault(operator, {}).update(keys)
    return result
