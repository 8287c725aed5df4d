"""Runbooks: every alert has a page and every page an alert, and what a page names exists.

Proves that links, commands of our own and metrics are real names. It cannot prove that a page's advice works.
"""

import re
from pathlib import Path

import pytest
from variants import named

from components.rule_forms import RUNBOOKS
from components.rules import groups
from flameplane import catalog
from flameplane.cli import app
from flameplane.plan import manifest, record
from schemas.allowed import NAMESPACES

SECTIONS = ["What it means", "Impact", "First look", "How to fix", "How to prevent"]


@pytest.fixture(scope="module")
def alerts(root: Path) -> dict[str, dict[str, str]]:
    """Annotations by name."""
    declared = catalog.load(root).catalog
    assert declared
    rules = [rule for group in groups(declared) for rule in group["rules"] if "alert" in rule]
    return {rule["alert"]: {**rule["annotations"], **rule["labels"]} for rule in rules}


@pytest.fixture(scope="module")
def pages(root: Path) -> dict[str, str]:
    return {page.stem: page.read_text() for page in (root / RUNBOOKS).iterdir()}


def test_every_alert_has_a_page_and_every_page_an_alert(alerts: dict[str, object], pages: dict[str, str]) -> None:
    assert len(alerts) > 30
    assert alerts.keys() - pages.keys() == set(), "alerts without a page"
    assert pages.keys() - alerts.keys() == set(), "pages without an alert"


def test_every_alert_names_its_page(alerts: dict[str, dict[str, str]], root: Path) -> None:
    for alert, texts in alerts.items():
        assert texts["runbook_url"] == f"docs/runbooks/{alert}.md"
        assert (root / texts["runbook_url"]).is_file()


def test_pages_are_short_and_in_one_form(alerts: dict[str, dict[str, str]], pages: dict[str, str]) -> None:
    for alert, text in pages.items():
        assert text.startswith(f"# {alert}\n\nSeverity: {alerts[alert]['severity']}"), alert
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS, alert
        assert text.count("\n") <= 60, alert
        assert all(line.strip() for line in re.findall(r"^## .+\n\n(.+)$", text, re.MULTILINE)), alert


def test_links_lead_to_pages(pages: dict[str, str]) -> None:
    links = [(alert, link) for alert, text in pages.items() for link in re.findall(r"\]\(([^)]+)\)", text)]
    assert len(links) > 20
    assert [(alert, link) for alert, link in links if link.removesuffix(".md") not in pages] == []


def test_our_own_commands_exist(pages: dict[str, str]) -> None:
    """Nobody learns at 3 a.m. that a command was never built."""
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    commands |= {g.name for g in app.registered_groups if g.name}
    used = {word for text in pages.values() for word in re.findall(r"(?:^|`)flameplane ([a-z]+)", text, re.MULTILINE)}
    assert used
    assert used - commands == set()


def test_namespaces_are_ours(pages: dict[str, str]) -> None:
    used = {name for text in pages.values() for name in re.findall(r"-n (flameplane-[a-z]+)", text)}
    assert used <= NAMESPACES.keys()


def test_metrics_are_those_of_the_rules_or_known(alerts: dict[str, object], pages: dict[str, str], root: Path) -> None:
    """Our own metrics are contracts of docs/components.md; a page must not ask for another."""
    text = (root / "docs/components.md").read_text()
    used = {word for page in pages.values() for word in re.findall(r"\bflameplane_[a-z_]+", page)}
    assert {name for name in used if f"`{name}`" not in text} == set()


def test_an_environment_may_name_where_pages_are_served(root: Path) -> None:
    objects = named([m for r in record(root, "prod").resources if (m := manifest(r))])
    rules = objects["PrometheusRule flameplane-system/flameplane-rules"]["spec"]["groups"]
    urls = {r["alert"]: r["annotations"]["runbook_url"] for g in rules for r in g["rules"] if "alert" in r}
    base = "https://git.example.com/acme/flameplane/blob/main/docs/runbooks"
    assert urls["FlameplaneMetastoreLeader"] == f"{base}/FlameplaneMetastoreLeader.md"
    assert all(url == f"{base}/{alert}.md" for alert, url in urls.items())
