"""Alert rules: what they cover, and in which form they are declared. tests/upstream checks them with promtool."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from variants import Objects, named

from components.rules import groups
from flameplane import catalog
from flameplane.plan import manifest, record
from schemas.catalog import Catalog


@pytest.fixture(scope="module")
def declared(root: Path) -> Catalog:
    loaded = catalog.load(root).catalog
    assert loaded
    return loaded


@pytest.fixture(scope="module")
def rules(declared: Catalog) -> list[dict[str, Any]]:
    return [rule for group in groups(declared) for rule in group["rules"]]


def recorded(rules: list[dict[str, Any]], name: str) -> dict[str, float]:
    found = [r for r in rules if r.get("record") == name]
    label = "service" if "service" in found[0]["labels"] else "team"
    return {r["labels"][label]: float(r["expr"].removeprefix("vector(").removesuffix(")")) for r in found}


def test_every_declared_budget_is_a_series(rules: list[dict[str, Any]], declared: Catalog) -> None:
    budgets = {s.name: s.spec.budget for s in declared.services}
    assert recorded(rules, "flameplane:service_budget_usd") == {n: b.monthly_usd for n, b in budgets.items()}
    assert recorded(rules, "flameplane:service_budget_stored_gb") == {n: b.stored_gb for n, b in budgets.items()}
    assert recorded(rules, "flameplane:team_budget_usd") == {t.name: t.spec.monthly_usd for t in declared.teams}


@pytest.mark.parametrize("what", ["ServiceStorage", "ServiceCost", "TeamCost", "PlatformCost"])
def test_every_budget_alerts_at_80_and_at_100_per_cent(what: str, rules: list[dict[str, Any]]) -> None:
    alerts = {r["alert"]: r for r in rules if r.get("alert", "").startswith(f"Flameplane{what}")}
    warning, critical = alerts[f"Flameplane{what}80"], alerts[f"Flameplane{what}100"]
    assert warning["expr"].endswith("> 0.8")
    assert critical["expr"].endswith("> 1.0")
    assert (warning["labels"]["severity"], critical["labels"]["severity"]) == ("warning", "critical")


@pytest.mark.parametrize(
    "alert", ["MetastoreLeader", "ProfilesDiscarded", "MetadataDlq", "DownsampleLag", "AgentDrops", "ServiceSilent"]
)
def test_the_platforms_health_is_watched(alert: str, rules: list[dict[str, Any]]) -> None:
    assert [r for r in rules if r.get("alert") == f"Flameplane{alert}"]


def test_every_alert_says_what_how_bad_and_whose(rules: list[dict[str, Any]]) -> None:
    alerts = [r for r in rules if "alert" in r]
    assert len({r["alert"] for r in alerts}) == len(alerts)
    for rule in alerts:
        assert rule["labels"].keys() == {"severity", "layer"}
        assert rule["annotations"]["summary"]


def test_our_own_metrics_are_those_of_the_document(rules: list[dict[str, Any]], root: Path) -> None:
    """A program that exports another name would leave its alert silent for ever."""
    text = (root / "docs/components.md").read_text()
    used = {
        word
        for rule in rules
        for word in rule["expr"].replace("(", " ").replace("[", " ").replace("{", " ").replace(")", " ").split()
        if word.startswith("flameplane_")
    }
    assert len(used) >= 10
    assert {name for name in used if f"`{name}`" not in text} == set()


def test_rules_come_in_the_form_the_environment_can_use(root: Path, declared: Catalog) -> None:
    def objects(stack: str) -> Objects:
        return named([m for r in record(root, stack).resources if (m := manifest(r))])

    local, prod = objects("local"), objects("prod")
    data = local["ConfigMap flameplane-system/flameplane-rules"]["data"]["flameplane.rules.yaml"]
    served = catalog.load_settings(root, "prod").settings
    assert served
    runbooks = served.alerts.runbook_url
    assert runbooks
    # Pulumi's own resource sorts keys; what counts is the content.
    spec = prod["PrometheusRule flameplane-system/flameplane-rules"]["spec"]
    assert spec == {"groups": groups(declared, runbooks)}
    assert yaml.safe_load(data) == {"groups": groups(declared)}
    assert "PodMonitor flameplane-system/flameplane" in prod
