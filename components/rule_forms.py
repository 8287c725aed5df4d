"""The two forms of Prometheus rules, as data."""

from typing import Any, Final

Rule = dict[str, Any]
RUNBOOKS: Final = "docs/runbooks"  # where the page of each alert lies in the project


def record(name: str, expression: str, labels: dict[str, str] | None = None) -> Rule:
    """A recording rule."""
    rule: Rule = {"record": name, "expr": expression}
    return rule | {"labels": labels} if labels else rule


def alert(name: str, expression: str, wait: str, kind: tuple[str, str], summary: str) -> Rule:
    """An alerting rule; ``kind`` is severity (critical: now, warning: today, info: this week) and layer."""
    severity, layer = kind
    return {
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": severity, "layer": layer},
        "annotations": {"summary": summary},
    }


def with_runbook(rule: Rule, base: str) -> Rule:
    """The rule with the page that says what to do about it."""
    if "alert" not in rule:
        return rule
    url = f"{base.rstrip('/')}/{rule['alert']}.md"
    return {**rule, "annotations": {**rule["annotations"], "runbook_url": url}}
