"""PromQL, parsed as Prometheus does: by the parser of https://github.com/messense/promql-parser-rs."""

from typing import Final

import promql_parser
from promql_parser import MatrixSelector, NumberLiteral, StringLiteral, SubqueryExpr

# What an expression can be that is no number per series at a time, which is what is asked for.
_NO_VECTOR: Final = {
    MatrixSelector: "it is a range of values; take one of them, as in rate(...[5m])",
    SubqueryExpr: "it is a range of values; take one of them, as in max_over_time(...[5m:])",
    StringLiteral: "it is a text",
    NumberLiteral: "it names no metric",
}


def problem(query: str) -> str:
    """What is wrong with the query, in words; empty if nothing is."""
    try:
        parsed = promql_parser.parse(query)
    except ValueError as error:
        return str(error)
    return _NO_VECTOR.get(type(parsed), "")
