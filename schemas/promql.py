"""PromQL, parsed as Prometheus does: by the parser of https://github.com/messense/promql-parser-rs."""

from collections.abc import Iterator
from typing import Any, Final

import promql_parser
from promql_parser import MatrixSelector, ParenExpr, StringLiteral, SubqueryExpr, VectorSelector

# What an expression can be that is no number per series at a time, which is what is asked for.
_NO_VECTOR: Final = {
    MatrixSelector: "it is a range of values; take one of them, as in rate(...[5m])",
    SubqueryExpr: "it is a range of values; take one of them, as in max_over_time(...[5m:])",
    StringLiteral: "it is a text",
}


def problem(query: str) -> str:
    """What is wrong with the query, in words; empty if nothing is."""
    try:
        parsed = promql_parser.parse(query)
    except ValueError as error:
        return str(error)
    while isinstance(parsed, ParenExpr):
        parsed = parsed.expr
    if why := _NO_VECTOR.get(type(parsed)):
        return why
    # `1 + 1` and `vector(1)` are the same for ever, whatever the service does.
    metrics = any(isinstance(part, VectorSelector | MatrixSelector) for part in _parts(parsed))
    return "" if metrics else "it names no metric"


def _parts(expression: Any) -> Iterator[Any]:
    yield expression
    below = [getattr(expression, field, None) for field in ("lhs", "rhs", "expr", "param")]
    for part in (*below, *getattr(expression, "args", ())):
        if part is not None:
            yield from _parts(part)
