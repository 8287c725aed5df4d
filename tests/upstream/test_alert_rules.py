"""The alert rules in Prometheus' own promtool: that they load, and that they fire when they should and only then.

promtool comes from $FLAMEPLANE_PROMTOOL, from PATH, or from Debian's package `prometheus`, unpacked into the cache; NOT
RUN where none of these can be had. Input series have the names and labels of Pyroscope 2.2's source.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_case import Case
from alert_cases_backend import CASES as BACKEND
from alert_cases_budget import CASES as BUDGET
from alert_cases_collection import CASES as COLLECTION
from alert_cases_platform import CASES as PLATFORM
from debian_programs import unpacked

from components.rules import groups
from flameplane import catalog

LONG = 300  # minutes
CASES: dict[str, Case] = {**BUDGET, **COLLECTION, **BACKEND, **PLATFORM}


@pytest.fixture(scope="module")
def promtool() -> str:
    named = os.environ.get("FLAMEPLANE_PROMTOOL")
    found = shutil.which(named or "promtool")
    if named and not found:
        pytest.skip(f"NOT RUN: FLAMEPLANE_PROMTOOL names no program: {named}")
    # Static: it needs no library of the package.
    return found or str(unpacked("prometheus", "/usr/bin/promtool").path)


@pytest.fixture
def rules(root: Path, tmp_path: Path) -> Path:
    """The rule file as it is rendered, for the declared services."""
    declared = catalog.load(root).catalog
    assert declared
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups(declared)}, sort_keys=False))
    return file


def test_prometheus_loads_the_rules(promtool: str, rules: Path) -> None:
    result = subprocess.run([promtool, "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_alerts_fire_when_they_should_and_only_then(promtool: str, rules: Path, tmp_path: Path) -> None:
    """All cases in one run, which names those that fail. Cases of hours are judged every five minutes."""
    files: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    loaded = yaml.safe_load(rules.read_text())["groups"]
    for name, case in CASES.items():
        group, labels = next((g["name"], r["labels"]) for g in loaded for r in g["rules"] if r.get("alert") == case[1])
        files.setdefault((group, case[2] > LONG), []).append(in_promtools_form(name, case, labels))
    written = []
    for (group, long), tests in files.items():
        needed = ("flameplane-budgets", group) if group == "flameplane-cost" else (group,)
        folder = tmp_path / f"{group}-{long}"
        folder.mkdir()
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [g for g in loaded if g["name"] in needed]}))
        document = {"rule_files": ["rules.yaml"], "evaluation_interval": "5m" if long else "1m", "tests": tests}
        (folder / "test.yaml").write_text(yaml.safe_dump(document))
        written.append(str(folder / "test.yaml"))
    result = subprocess.run([promtool, "test", "rules", *written], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def in_promtools_form(name: str, case: Case, labels: dict[str, str]) -> dict[str, Any]:
    """One case."""
    series, alert, minute, fires = case
    expected = []
    if fires:
        texts = {"summary": fires[1], "runbook_url": f"docs/runbooks/{alert}.md"}
        expected = [{"exp_labels": {**labels, **fires[0]}, "exp_annotations": texts}]
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": named, "values": values} for named, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": expected}],
    }


def test_a_wrong_expectation_is_noticed(promtool: str, rules: Path, tmp_path: Path) -> None:
    """So that the run above can fail."""
    series, alert, minute, _ = CASES["no leader"]
    test = in_promtools_form("no leader", (series, alert, minute, None), {})
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}))
    result = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "FlameplaneMetastoreLeader" in result.stdout + result.stderr


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_not(rules: Path) -> None:
    alerts = {r["alert"] for g in yaml.safe_load(rules.read_text())["groups"] for r in g["rules"] if "alert" in r}
    fires = {alert for _, alert, _, fires in CASES.values() if fires}
    quiet = {alert for _, alert, _, fires in CASES.values() if not fires}
    assert alerts - fires == set()
    assert alerts - quiet == set()
