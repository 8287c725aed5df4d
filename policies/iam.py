"""What an AWS policy document answers to a request: enough of IAM's evaluation to judge a policy by what it does.

Judged by what is denied, a policy may be written in any form: a list or a text, NotAction, StringLike, IfExists. What
is not known here (an operator, a policy variable) counts against the policy: a Deny of that kind refuses nothing, an
Allow admits. Rule FP046 refuses both in any case, since no reviewed statement has them.
Sources: AWS IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

Statement = Mapping[str, Any]
Answer = Literal["allow", "deny", "nothing"]
_ACCOUNT: Final = re.compile(r"^(?:arn:aws[a-z-]*:(?:iam|sts)::)?([0-9]{12})(?::.*)?$")


class NotUnderstood(ValueError):
    """A policy holds what is not understood here; nothing may be concluded from it."""


@dataclass(frozen=True)
class Request:
    """Who wants what. ``context`` holds the condition keys that the request has, in lower case; others are absent."""

    action: str
    resource: str
    principal: str | None = None  # ARN of a role; None for an anonymous request
    service: str | None = None  # an AWS service that asks by itself
    context: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=512)
def statements(text: str) -> tuple[Statement, ...]:
    """The statements of a policy document given as JSON."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise NotUnderstood(f"a policy is no JSON: {error}") from error
    found = document.get("Statement") if isinstance(document, dict) else None
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list) or not all(isinstance(s, dict) and s for s in found):
        raise NotUnderstood("a policy has no statements")
    for conditions in (s.get("Condition") or {} for s in found):
        if not isinstance(conditions, dict) or not all(isinstance(of, dict) for of in conditions.values()):
            raise NotUnderstood("a Condition is no map of operators to keys and values")
    return tuple(found)


def listed(value: Any) -> list[str]:
    """One text or a list of them, as a list."""
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def answer(text: str, request: Request) -> Answer:
    """What one policy says: a deny wins, an allow counts where nothing denies."""
    effects = {str(s.get("Effect")) for s in statements(text) if applies(s, request)}
    return "deny" if "Deny" in effects else "allow" if "Allow" in effects else "nothing"


def applies(statement: Statement, request: Request) -> bool:
    """Whether a statement is about a request; where that cannot be told, the worse."""
    try:
        return _is_about(statement, request)
    except NotUnderstood:
        return statement.get("Effect") != "Deny"


def _is_about(statement: Statement, request: Request) -> bool:
    return (
        _matches(statement, "Action", lambda p: like(p.lower(), request.action.lower()))
        and _matches(statement, "Resource", lambda p: like(p, request.resource))
        and _principal(statement, request)
        and all(
            _condition(operator, key.lower(), listed(values), request.context)
            for operator, keys in (statement.get("Condition") or {}).items()
            for key, values in keys.items()
        )
    )


def like(pattern: str, text: str) -> bool:
    """AWS's wildcards: `*` any text, `?` any one character."""
    if "${" in pattern:
        raise NotUnderstood(f"the policy variable in {pattern}")
    return _pattern(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)


def _matches(statement: Statement, element: str, matches: Callable[[str], bool]) -> bool:
    if element in statement:
        return any(matches(p) for p in listed(statement[element]))
    if f"Not{element}" in statement:
        return not any(matches(p) for p in listed(statement[f"Not{element}"]))
    return True  # trust policies have no resource


def principals(statement: Statement, element: str = "Principal") -> Iterator[tuple[str, str]]:
    """Who a statement names, as (kind, value); everybody is ("AWS", "*")."""
    named = statement.get(element)
    if isinstance(named, str):
        yield "AWS", named
    elif isinstance(named, Mapping):
        for kind, values in named.items():
            yield from ((str(kind), value) for value in listed(values))


def _principal(statement: Statement, request: Request) -> bool:
    for element, wanted in (("Principal", True), ("NotPrincipal", False)):
        if element in statement:
            return any(_is(kind, value, request) for kind, value in principals(statement, element)) is wanted
    return True  # a role's own policy


def _is(kind: str, value: str, request: Request) -> bool:
    if value == "*":
        return True
    if kind == "Service":
        return value == request.service
    if kind != "AWS":
        return False
    who, asks = account_of(value), account_of(request.principal or "")
    whole_account = bool(re.fullmatch(r"[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:root", value))
    return value == request.principal or (whole_account and who is not None and who == asks)


def account_of(principal: str) -> str | None:
    """The account number of an ARN, or of a principal that is only that number."""
    found = _ACCOUNT.match(principal)
    return found[1] if found else None


def _condition(operator: str, key: str, values: list[str], context: Mapping[str, str]) -> bool:
    """One operator and key. Several values are alternatives; of a negated operator none may hold."""
    name = operator.rpartition(":")[2]  # ForAnyValue:, ForAllValues:
    if operator.startswith("ForAllValues:") and key not in context:
        return True
    if name == "Null":
        return any((key not in context) == (v.lower() == "true") for v in values)
    exists, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    negated = "Not" in name
    plain = name.replace("Not", "")
    if plain not in _OPERATORS:
        raise NotUnderstood(f"the condition operator {operator}")
    if key not in context:
        # Of no value, none is any that matches: `ForAnyValue:StringNotEquals` does not deny who has no such key.
        return exists or (negated and not operator.startswith("ForAnyValue:"))
    return any(_OPERATORS[plain](v, context[key]) for v in values) is not negated


def _compared(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def numbers(value: str, found: str) -> bool:
        try:
            return compare(float(found), float(value))
        except ValueError:
            raise NotUnderstood(f"the number {value}") from None

    return numbers


_OPERATORS: Final[dict[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda v, f: v == f,
    "StringEqualsIgnoreCase": lambda v, f: v.lower() == f.lower(),
    "StringLike": like,
    "ArnEquals": like,
    "ArnLike": like,
    "Bool": lambda v, f: v.lower() == f.lower(),
    "NumericEquals": _compared(lambda f, v: f == v),
    "NumericLessThan": _compared(lambda f, v: f < v),
    "NumericLessThanEquals": _compared(lambda f, v: f <= v),
    "NumericGreaterThan": _compared(lambda f, v: f > v),
    "NumericGreaterThanEquals": _compared(lambda f, v: f >= v),
}
