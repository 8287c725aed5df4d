"""PromQL, as far as a query can be wrong without a server to ask: quotes, brackets, ranges, loose ends.

Prometheus' own grammar: https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from collections.abc import Iterator
from typing import Final

_CLOSES: Final = {")": "(", "]": "[", "}": "{"}
_DURATION: Final = r"([0-9]+(ms|[smhdwy]))+"
# A range, or a subquery with its step.
_RANGE: Final = re.compile(rf"\s*{_DURATION}\s*(:\s*({_DURATION})?\s*)?")
_LOOSE_END: Final = re.compile(r"([-+*/%^,<>=!~]|\b(and|or|unless|by|without|on|ignoring|offset))\s*$")
_LOOSE_START: Final = re.compile(r"\s*([*/%^,<>=!~)]|(and|or|unless|by|without|on|ignoring|offset)\b)")


def problem(query: str) -> str:
    """What is wrong with the query, in words; empty if nothing can be told."""
    return next(_problems(query), "")


def _problems(query: str) -> Iterator[str]:
    opened: list[tuple[str, int]] = []
    bare, at = "", 0  # the query without texts and comments
    while at < len(query):
        sign = query[at]
        if sign in "\"'`":
            end = _text_end(query, at)
            if end < 0:
                yield f"the text that opens with {sign} at character {at + 1} is never closed"
                return
            bare, at = bare + "x", end
            continue
        if sign == "#":
            at = query.find("\n", at) if "\n" in query[at:] else len(query)
            continue
        if sign in "([{":
            opened.append((sign, at))
        elif sign in _CLOSES:
            if not opened or opened[-1][0] != _CLOSES[sign]:
                yield f"{sign} at character {at + 1} closes nothing"
                return
            start = opened.pop()[1]
            inside = query[start + 1 : at]
            if sign == "]" and not _RANGE.fullmatch(inside):
                yield f"[{inside}] is no range: write it as in [5m]"
        elif sign == ";":
            yield "it holds a ;: it has to be one expression"
        bare, at = bare + sign, at + 1
    if opened:
        sign, start = opened[-1]
        yield f"{sign} at character {start + 1} is never closed"
    if not re.search(r"[A-Za-z_:]", bare):
        yield "it names no metric"
    if _LOOSE_START.match(bare) or _LOOSE_END.search(bare):
        yield "it begins or ends in the middle of an expression"


def _text_end(query: str, start: int) -> int:
    """The place behind the text that opens at ``start``, or -1; a backslash escapes, but for raw texts (`)."""
    quote, at = query[start], start + 1
    while at < len(query):
        if query[at] == "\\" and quote != "`":
            at += 2
            continue
        if query[at] == quote:
            return at + 1
        at += 1
    return -1
