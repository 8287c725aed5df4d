"""Alert and recording rules as they were reviewed: configuration_alerts.yaml, and what services/ add to it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from schemas.allowed import NAMESPACES, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.reviewed.forms import Text
from schemas.settings import Settings

NAME: Final = (SYSTEM_NAMESPACE, "flameplane-rules")
FILE: Final = "flameplane.rules.yaml"
MONITOR: Final = (SYSTEM_NAMESPACE, "flameplane")
_RUNBOOKS: Final = "docs/runbooks"  # in the project, where the settings name no URL
_SUMMARY: Final = Text(r"(?s).*\S.*", "a text for whoever is paged", "Something is wrong.")

Groups = dict[str, dict[str, Any]]


def groups(settings: Settings, catalog: Catalog) -> Groups:
    """All groups by name, and in each its rules by what they are called (``called``)."""
    pages = (settings.alerts.runbook_url or _RUNBOOKS).rstrip("/")
    platform = f"{catalog.organisation.spec.monthly_usd:g}"
    found: Groups = {}
    for name, reviewed in _table().items():
        rules: dict[str, Any] = {}
        for record, expression in reviewed["records"].items():
            rules[record] = {"record": record, "expr": expression}
        for alert, row in reviewed["alerts"].items():
            rules[alert] = {
                "alert": alert,
                "expr": row["expr"].replace("${platformUsd}", platform),
                "for": row["for"],
                "labels": {"severity": row["severity"], "layer": row["layer"]},
                "annotations": {"summary": _SUMMARY, "runbook_url": f"{pages}/{alert}.md"},
            }
        interval = {"interval": reviewed["interval"]} if "interval" in reviewed else {}
        found[name] = {"name": name, **interval, "rules": rules}
    for group, record, value, labels in _declared(catalog):
        rule = {"record": record, "expr": f"vector({value:g})", "labels": labels}
        found[group]["rules"][called(rule)] = rule
    return found


def by_name(found: Sequence[Any]) -> tuple[Groups, list[str]]:
    """Declared groups in the same form, and what stands twice: the form can show it once only."""
    named: Groups = {}
    twice: list[str] = []
    for group in found:
        name, rules = str(group.get("name")), dict[str, Any]()
        for rule in group.get("rules") or ():
            if called(rule) in rules:
                twice.append(f"{name}.{called(rule)}")
            rules[called(rule)] = rule
        if name in named:
            twice.append(name)
        named[name] = {**group, "rules": rules}
    return named, twice


def called(rule: Mapping[str, Any]) -> str:
    """What a rule is called: an alert by its name; a record by its labels too, since many have one name."""
    labels = rule.get("labels") or {}
    said = ",".join(f"{key}={labels[key]}" for key in sorted(labels)) if "alert" not in rule else ""
    return f"{rule.get('alert') or rule.get('record')}{f'{{{said}}}' if said else ''}"


def monitor() -> dict[str, Any]:
    """What the operator scrapes: all pods of the platform. Without it every alert stays silent."""
    return {
        "namespaceSelector": {"matchNames": sorted(NAMESPACES)},
        "selector": {"matchLabels": {"app.kubernetes.io/part-of": "flameplane"}},
        "podMetricsEndpoints": [{"port": "metrics"}, {"port": "rx-metrics"}],
    }


def _declared(catalog: Catalog) -> Iterator[tuple[str, str, float, dict[str, str]]]:
    """Budgets and declared services as series, which the alerts divide by and wait for."""
    for service in catalog.services:
        labels, budget = {"service": service.name, "team": service.team}, service.spec.budget
        yield "flameplane-budgets", "flameplane:service_budget_usd", budget.monthly_usd, labels
        yield "flameplane-budgets", "flameplane:service_budget_stored_gb", budget.stored_gb, labels
        if service.spec.profiling.sample_rate_hz > 0:
            yield "flameplane-collection", "flameplane:service_declared", 1, labels
    for team in catalog.teams:
        yield "flameplane-budgets", "flameplane:team_budget_usd", team.spec.monthly_usd, {"team": team.name}


@cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    return found
