"""The alert rules in Prometheus' own promtool: that they load, and that they fire when they should and only then.

NOT RUN without promtool (in the Prometheus release and in Debian's package `prometheus`).
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from components.rules import groups
from flameplane import catalog


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which(os.environ.get("FLAMEPLANE_PROMTOOL", "promtool"))
    if not found:
        pytest.skip("NOT RUN: no promtool on PATH or in $FLAMEPLANE_PROMTOOL; Debian has it in the package prometheus")
    return found


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


RAW = 'pyroscope_usage_group_received_decompressed_total{type="cpu",tenant="payments",usage_group="svc/checkout"}'
PODS = 'flameplane_agent_pods{service="checkout",team="payments",node="n"}'
COST = 'flameplane_cost_usd_month{service="checkout",team="payments"}'
NO_LEADER = "the metastore has no leader, or more than one: nothing is stored, and it does not heal by itself"
MERGED = 'flameplane_downsample_merged_until_timestamp_seconds{tenant="payments"}'


def leader(instance: str) -> str:
    return f'pyroscope_metastore_raft_state{{state="Leader",instance="{instance}"}}'


CHECKOUT = {"service": "checkout", "team": "payments"}
# checkout declares 10 stored GB and 90 USD a month. 66,667 B/s raw * 0.05 stored per raw = 8.64 GB a month.
BYTES_A_MINUTE = 4_000_020
GROWS = f"0+{BYTES_A_MINUTE}x900"
# Name -> series, alert, minute, and labels and summary of what fires then (None: it must be silent).
Fires = tuple[dict[str, str], str]
CASES: dict[str, tuple[dict[str, str], str, int, Fires | None]] = {
    "storage at 86 %": (
        {RAW: GROWS},
        "FlameplaneServiceStorage80",
        800,
        (CHECKOUT, "checkout is on course for 86.4% of its stored GB a month"),
    ),
    "storage not at 100 %": ({RAW: GROWS}, "FlameplaneServiceStorage100", 800, None),
    "storage at 67 %": ({RAW: f"0+{BYTES_A_MINUTE * 7 // 9}x900"}, "FlameplaneServiceStorage80", 800, None),
    "storage by the measured ratio": (
        {RAW: GROWS, "flameplane_cost_stored_per_raw_ratio": "0.02x900"},
        "FlameplaneServiceStorage80",
        800,
        None,
    ),
    "cost at 81 %": (
        {COST: "73x200"},
        "FlameplaneServiceCost80",
        150,
        (CHECKOUT, "checkout is at 81.11% of its budget of the month"),
    ),
    "cost at 79 %": ({COST: "71x200"}, "FlameplaneServiceCost80", 150, None),
    "team over its budget": (
        {COST: "90x200", COST.replace("checkout", "ledger"): "330x200"},
        "FlameplaneTeamCost100",
        150,
        ({"team": "payments"}, "team payments is at 105% of its budget of the month"),
    ),
    "runs and is silent": (
        {PODS: "1x60"},
        "FlameplaneServiceSilent",
        50,
        (CHECKOUT, "checkout runs and is declared, but no profile of it arrived for 15 minutes"),
    ),
    "runs and is seen": ({PODS: "1x60", RAW: "0+1000x60"}, "FlameplaneServiceSilent", 50, None),
    "does not run": ({PODS: "0x60"}, "FlameplaneServiceSilent", 50, None),
    "no leader": ({leader("a"): "0x30"}, "FlameplaneMetastoreLeader", 20, ({}, NO_LEADER)),
    "no backend": ({}, "FlameplaneMetastoreLeader", 20, ({}, NO_LEADER)),
    "one leader": ({leader("a"): "1x30", leader("b"): "0x30"}, "FlameplaneMetastoreLeader", 20, None),
    "two leaders": ({leader("a"): "1x30", leader("b"): "1x30"}, "FlameplaneMetastoreLeader", 20, ({}, NO_LEADER)),
    "merged 7 h 20 min ago": (
        {MERGED: "0x500"},
        "FlameplaneDownsampleLag",
        440,
        ({"tenant": "payments"}, "the hourly profiles of payments are 7h 20m 0s behind"),
    ),
    "merged 5 h ago": ({MERGED: "0x500"}, "FlameplaneDownsampleLag", 300, None),
    "discarded": (
        {'pyroscope_discarded_bytes_total{tenant="payments",reason="rate_limited"}': "0+5x30"},
        "FlameplaneProfilesDiscarded",
        25,
        ({"tenant": "payments", "reason": "rate_limited"}, "tenant payments: profiles discarded (rate_limited)"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_alert_fires_when_it_should_and_only_then(case: str, promtool: str, rules: Path, tmp_path: Path) -> None:
    series, alert, minute, fires = CASES[case]
    rule = next(r for g in yaml.safe_load(rules.read_text())["groups"] for r in g["rules"] if r.get("alert") == alert)
    expected = []
    if fires:
        labels, summary = fires
        expected = [{"exp_labels": {**rule["labels"], **labels}, "exp_annotations": {"summary": summary}}]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": expected}],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}))
    result = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
