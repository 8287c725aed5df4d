"""CloudWatch's filter patterns for JSON, as far as ours go: `{ ($.a.b = "x" || ...) && (...) }`, values without `*`.

Syntax: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

import json
import re
from typing import Any

LONGEST = 1024  # characters that PutMetricFilter takes
_TERM = re.compile(r'\$((?:\.\w+)+) = "([\w./-]+)"')


def matches(pattern: str, line: str) -> bool:
    """Whether a line of a log counts. A line that is not JSON counts for no such pattern."""
    assert len(pattern) <= LONGEST
    inside = re.fullmatch(r"\{ \((.+)\) \}", pattern)
    assert inside, pattern
    groups = [[_term(term) for term in group.split(" || ")] for group in inside[1].split(") && (")]
    try:
        event = json.loads(line)
    except ValueError:
        return False
    return all(any(_at(event, path) == value for path, value in group) for group in groups)


def _term(text: str) -> tuple[list[str], str]:
    found = _TERM.fullmatch(text)
    assert found, f"{text} is nothing that this evaluator knows"
    return found[1].strip(".").split("."), found[2]


def _at(event: Any, path: list[str]) -> Any:
    for key in path:
        event = event.get(key) if isinstance(event, dict) else None
    return event
