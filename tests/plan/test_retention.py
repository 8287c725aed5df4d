"""docs/retention.md against what is declared: each figure is computed anew, and none is above 90 days.

It holds the declaration of prod and the table together. That a backend deletes what it should, nobody can test in less
than 30 days; what the figures rest on is in the reference of Pyroscope's index and S3's lifecycle.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from components.pyroscope_limits import LONGTERM
from flameplane import plan
from flameplane.catalog import load
from flameplane.downsample.hours import MILLIS, SETTLES, TOO_LATE
from schemas.allowed import LONGEST_KEPT_DAYS, RETENTION_DAYS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "retention.md"
PARTITION = 0.5  # days: 6 h long, 6 h of grace (`metastore.index.cleanup_grace_period`)
COMPACTION = 0.5  # until a job carries the deletion
MIDNIGHT = 1.0  # S3 deletes at the next one
REWRITTEN = 0.25  # the last level of compaction takes blocks of 3 h, and some time
WRITTEN = (TOO_LATE + MILLIS) / MILLIS / 24  # an hourly profile, after its first moment
LONGEST = RETENTION_DAYS[1]


def table() -> dict[str, float]:
    """Days by place, as the page has them."""
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {row[1].strip(): float(row[5]) for row in rows if len(row) == 7 and row[5].strip()[:1].isdigit()}


@pytest.fixture(scope="module")
def declared(root: Path) -> Mapping[str, float]:
    """Days that prod declares: of Pyroscope's tenants and of the rules of the bucket."""
    resources = plan.record(root, "prod").resources
    maps = {m["metadata"]["name"]: m for r in resources if (m := plan.manifest(r)) and m["kind"] == "ConfigMap"}
    tenants = yaml.safe_load(maps["pyroscope-overrides"]["data"]["overrides.yaml"])["overrides"]
    days = {name: int(limits["retention_period"].removesuffix("h")) / 24 for name, limits in tenants.items()}
    rejected = {name.endswith(LONGTERM): limits["reject_older_than"] for name, limits in tenants.items()}
    assert rejected == {False: f"{SETTLES // MILLIS}h", True: "24h"}
    buckets = [r.inputs for r in resources if r.type.endswith("BucketLifecycleConfiguration") and r.name == "profiles"]
    rules = {rule["id"]: rule for rule in buckets[0]["rules"]}
    return {
        "fine": max(d for name, d in days.items() if not name.endswith(LONGTERM)),
        "hourly": max(d for name, d in days.items() if name.endswith(LONGTERM)),
        **{name: float(rule["expiration"]["days"]) for name, rule in rules.items() if "expiration" in rule},
        "uploads": float(rules["unfinished-uploads"]["abortIncompleteMultipartUpload"]["daysAfterInitiation"]),
        "versions": float(rules["blocks-orphaned"]["noncurrentVersionExpiration"]["noncurrentDays"]),
    }


def test_every_figure_follows_from_the_declaration(declared: Mapping[str, float]) -> None:
    late = WRITTEN + REWRITTEN
    found = {name.split(",")[0]: days for name, days in table().items()}
    computed = {
        # What a team may declare at most; prod's own teams may keep less.
        "fine profiles": LONGEST_KEPT_DAYS + PARTITION + COMPACTION + SETTLES / MILLIS / 24,
        "hourly profiles": declared["hourly"] + PARTITION + COMPACTION + WRITTEN,
        "orphaned blocks": declared["blocks-orphaned"] + MIDNIGHT + late,
        "uncompacted segments": declared["segments-orphaned"] + MIDNIGHT + late,
        "dead letters": declared["dead-letters"] + MIDNIGHT + late,
        "stored queries": declared["query-diagnostics"] + MIDNIGHT + late,
        "asynchronous answers": declared["async-queries"] + MIDNIGHT + late,
        "unfinished uploads": declared["uploads"] + MIDNIGHT + late,
    }
    assert found.keys() == computed.keys()
    assert {name: abs(found[name] - days) < 0.05 for name, days in computed.items()} == dict.fromkeys(computed, True)


def test_none_is_older_than_promised() -> None:
    assert {name: days for name, days in table().items() if days > LONGEST} == {}


def test_fine_profiles_are_there_as_long_as_promised(declared: Mapping[str, float], root: Path) -> None:
    catalog = load(root).catalog
    assert catalog
    assert declared["fine"] == max(min(team.spec.retention.fine_days, LONGEST_KEPT_DAYS) for team in catalog.teams)
    assert declared["fine"] >= RETENTION_DAYS[0]
