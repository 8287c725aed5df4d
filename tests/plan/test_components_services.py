"""What a change in services/ touches: the table of docs/components.md, by recording the program before and after.

Proves which objects differ, not that an API server leaves the others alone (tests/cluster shows that).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from variants import Objects, Project, touched

CATALOG = "ConfigMap flameplane-system/catalog-payments"
AGENTS = "ConfigMap flameplane-node/node-services"
GATE = "ConfigMap flameplane-access/ci-gate"
GATEWAY = "ConfigMap flameplane-access/gateway"
RULES = "PrometheusRule flameplane-system/flameplane-rules"
OVERRIDES = "ConfigMap flameplane-backend/pyroscope-overrides"
SCRAPES = "NetworkPolicy flameplane-node/flameplane-node"
DATASOURCES = "ConfigMap flameplane-access/flameplane-datasources"
GRAFANA = "Deployment flameplane-access/grafana"  # starts anew with other data sources
JOBS = {f"CronJob flameplane-system/flameplane-{name}" for name in ("downsample", "drift", "cost-report")}


@pytest.fixture(scope="module")
def before(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return Project(root, tmp_path_factory.mktemp("before"), locked=True).objects()


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Project:
    return Project(root, tmp_path, locked=True)


def own(name: str) -> set[str]:
    """The objects of one injected service."""
    return {f"ConfigMap flameplane-system/inject-{name}", f"MutatingAdmissionPolicyBinding flameplane-inject-{name}"}


def spec(change: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda document: change(document["spec"])


ADDED = [
    ("go", {"name": "go"}, ["cpu"], {CATALOG, AGENTS, GATE, RULES}),
    ("scraped-go", {"name": "go", "pprofPort": 6061}, ["cpu", "mutex"], {CATALOG, AGENTS, GATE, RULES, SCRAPES}),
    ("java", {"name": "java"}, ["alloc"], {CATALOG, AGENTS, GATE, RULES} | own("added")),
    ("native", {"name": "native"}, ["cpu", "offcpu"], {CATALOG, AGENTS, GATE, RULES}),
]


@pytest.mark.parametrize(("language", "types", "expected"), [a[1:] for a in ADDED], ids=[a[0] for a in ADDED])
def test_an_added_service_touches_its_own_and_the_shared_objects_only(
    language: dict[str, Any], types: list[str], expected: set[str], project: Project, before: Objects
) -> None:
    project.add("payments", "added", language, types)
    assert touched(before, project.objects()) == expected


def test_a_removed_service_leaves_nothing_behind(project: Project, before: Objects) -> None:
    file = project.service("payments", "ledger")
    file.unlink()
    file.parent.rmdir()
    after = project.objects()
    # The only service of its team with span profiles: the link to them goes too.
    assert touched(before, after) == {CATALOG, AGENTS, GATE, RULES, DATASOURCES, GRAFANA} | own("ledger")
    assert not own("ledger") & after.keys()
    assert "ledger" not in str([after[key] for key in (CATALOG, AGENTS, GATE, RULES)])


CHANGED = [
    (
        "rate",
        spec(lambda s: s["profiling"].update(sampleRateHz=19)),
        {CATALOG, AGENTS, GATE} | {sorted(own("ledger"))[0]},
    ),
    (
        "selector",
        spec(lambda s: s["workload"]["selector"].update(tier="x")),
        {CATALOG, AGENTS} | {sorted(own("ledger"))[1]},
    ),
    ("labels", spec(lambda s: s["labels"].update(track="acme.example.com/track")), {CATALOG, AGENTS}),
    ("gate", spec(lambda s: s["gate"].update(topN=3)), {CATALOG, GATE}),
    ("budget", spec(lambda s: s.update(budget={"storedGb": 5})), {CATALOG, RULES}),
    ("root path", spec(lambda s: s["source"].update(rootPath="x")), {CATALOG}),
]


@pytest.mark.parametrize(("change", "expected"), [c[1:] for c in CHANGED], ids=[c[0] for c in CHANGED])
def test_a_changed_field_touches_only_who_needs_to_know(
    change: Callable[[Any], None], expected: set[str], project: Project, before: Objects
) -> None:
    project.edit(project.service("payments", "ledger"), change)
    assert touched(before, project.objects()) == expected


def test_retention_reaches_the_catalog_and_the_backend_only(project: Project, before: Objects) -> None:
    team = project.folder / "services/payments/_team.yaml"
    project.edit(team, spec(lambda s: s["retention"].update(fineDays=45)))
    after = project.objects()
    assert touched(before, after) == {CATALOG, OVERRIDES}
    assert "retention_period: 1080h" in after[OVERRIDES]["data"]["overrides.yaml"]


def test_a_removed_team_takes_its_tenant_along(project: Project, before: Objects) -> None:
    team = project.folder / "services/payments"
    for file in sorted(team.rglob("*.yaml")):
        file.unlink()
    for folder in sorted(team.glob("*/"), reverse=True):
        folder.rmdir()
    team.rmdir()
    after = project.objects()
    injected = own("ledger") | own("fraud-scoring")
    shared = {CATALOG, AGENTS, GATE, GATEWAY, RULES, OVERRIDES, SCRAPES, DATASOURCES, GRAFANA}
    assert touched(before, after) == shared | JOBS | injected
    assert "payments" not in str(list(after.values()))


def test_a_fleet_costs_at_most_three_objects_per_service(project: Project, before: Objects) -> None:
    """All of them injected, the most expensive kind."""
    for number in range(20):
        project.add("insights", f"worker-{number}", {"name": "python"}, ["cpu", "wall"])
    assert len(project.objects()) - len(before) == 2 * 20


def test_the_document_names_what_these_tests_found(root: Path) -> None:
    text = (root / "docs/components.md").read_text()
    for key in (AGENTS, GATE, GATEWAY, RULES, OVERRIDES, SCRAPES, DATASOURCES):
        assert f"`{key.rpartition('/')[2]}`" in text
