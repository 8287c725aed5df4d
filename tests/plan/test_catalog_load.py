"""Loading services/: inheritance, origins, limits, and the twelve services of this project.

Proves what a service gets in the end and which line decided it. What single mistakes look like is in
test_catalog_broken.
"""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.fleet import generate
from flameplane.catalog import check_settings, load, load_settings, stacks
from flameplane.catalog.explain import explain
from flameplane.catalog.project import check_project
from flameplane.catalog.tree import leaves, parse_path, show_path
from flameplane.findings import Location
from schemas.allowed import LANGUAGES

BASE = Path(__file__).parent / "broken" / "base"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(BASE, tmp_path / "project")
    return tmp_path / "project"


def replace(project: Path, name: str, old: str, new: str) -> None:
    file = project / name
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_maps_merge_and_lists_are_replaced(project: Path) -> None:
    replace(project, "services/_org.yaml", "sampleRateHz: 49", "sampleRateHz: 49\n      types: [cpu, offcpu]")
    team = project / "services/catalog/_team.yaml"
    team.write_text(team.read_text() + "  defaults:\n    profiling: {types: [cpu, alloc, wall]}\n    gate: {topN: 7}\n")
    replace(project, "services/catalog/search/service.yaml", "    selector", "    selector")
    loaded = load(project)
    assert loaded.catalog
    search = next(s for s in loaded.catalog.services if s.name == "search")
    assert search.spec.profiling.sample_rate_hz == 49, "from the organisation"
    assert search.spec.profiling.types == ["cpu", "alloc", "wall"], "the team's list, not a union"
    assert search.spec.gate.top_n == 7, "from the team"
    assert search.spec.gate.window_minutes == 5, "built in: the team's map did not replace the whole section"
    service = project / "services/catalog/search/service.yaml"
    service.write_text(service.read_text() + "  profiling: {types: [cpu]}\n")
    loaded = load(project)
    assert loaded.catalog
    search = next(s for s in loaded.catalog.services if s.name == "search")
    assert (search.spec.profiling.types, search.spec.profiling.sample_rate_hz) == (["cpu"], 49)


def test_channel_falls_back_to_the_teams(project: Path) -> None:
    loaded = load(project)
    assert loaded.catalog
    assert {s.name: s.metadata.slack for s in loaded.catalog.services} == {
        "checkout": "#payments",
        "search": "#catalog",
    }
    assert loaded.sources.locate("service", "search", "metadata.slack") == Location(
        "services/catalog/_team.yaml", 5, 10, 20
    )


def test_locate_names_the_line_that_decided(project: Path) -> None:
    sources = load(project).sources
    checkout = "services/payments/checkout/service.yaml"
    assert sources.locate("service", "checkout", "spec.profiling.sampleRateHz") == Location(checkout, 15, 19, 21)
    assert sources.locate("service", "search", "spec.profiling.sampleRateHz") == Location(
        "services/_org.yaml", 11, 21, 23
    )
    assert sources.locate("service", "checkout", "spec.profiling.types[1]") == Location(checkout, 16, 18, 23)
    selector = 'spec.workload.selector["app.kubernetes.io/name"]'
    assert sources.locate("service", "checkout", selector) == Location(checkout, 13, 31, 39)
    assert sources.locate("service", "checkout", "spec.workload") == Location(checkout, 10, 3, 11), "a map by its key"
    assert sources.locate("service", "checkout", "spec.budget.storedGb") == Location(checkout, 1, 1), "built in"
    assert sources.origin("service", "checkout", "spec.budget.storedGb") is None
    team = "services/payments/_team.yaml"
    assert sources.locate("team", "payments", "spec.retention.fineDays") == Location(team, 10, 15, 17)
    assert sources.locate("team", "catalog", "spec.monthlyUsd") == Location("services/catalog/_team.yaml", 1, 1)
    assert sources.locate("organisation", "acme", "spec.limits.minFineDays") == Location(
        "services/_org.yaml", 15, 18, 20
    )
    assert sources.locate("service", "chekout", "spec") is None


def test_explain_has_every_value_with_its_origin(project: Path) -> None:
    loaded = load(project)
    assert loaded.catalog
    service = loaded.catalog.services[0]
    values = {v.path: v for v in explain(service, loaded.sources, loaded.catalog)}
    assert values["spec.gate.mode"].origin == Location("services/payments/checkout/service.yaml", 18, 11, 18)
    assert values["spec.gate.topN"].origin is None
    assert values["spec.language.pprofPort"].value == 6060
    written = [show_path(path) for path, _ in leaves(loaded.sources.trees["service", "checkout"])]
    assert set(written) <= set(values), "nothing that was written is left out"
    assert all(values[path].origin for path in written)


@pytest.mark.parametrize(
    "path",
    [
        "spec",
        "spec.profiling.types[2]",
        'spec.workload.selector["app.kubernetes.io/name"]',
        "config.flameplane:cluster",
    ],
)
def test_paths_read_back(path: str) -> None:
    assert show_path(parse_path(path)) == path


def test_limits_hold_for_what_is_inherited_once_per_line(project: Path) -> None:
    """A team default above the limit is one finding, however many services inherit it."""
    team = project / "services/catalog/_team.yaml"
    team.write_text(team.read_text() + "  defaults:\n    profiling: {sampleRateHz: 99}\n")
    other = project / "services/catalog/ranking/service.yaml"
    other.parent.mkdir()
    other.write_text((project / "services/catalog/search/service.yaml").read_text().replace("search", "ranking"))
    findings = load(project).findings
    assert [(f.id, str(f.location)) for f in findings] == [("SVC050", "services/catalog/_team.yaml:11:31")]
    assert [str(at) for at in findings[0].related] == ["services/_org.yaml:13:22"]


def test_a_mistake_in_team_defaults_is_told_once(project: Path) -> None:
    team = project / "services/catalog/_team.yaml"
    team.write_text(team.read_text() + "  defaults:\n    profiling: {sampleRate: 19, cpuSource: kernel}\n")
    assert [f.id for f in load(project).findings] == ["SVC020", "SVC023"]


def test_services_elsewhere(project: Path, tmp_path: Path) -> None:
    """Another folder can stand in for services/, inside the project or not."""
    moved = tmp_path / "fleet"
    (project / "services").rename(moved)
    loaded = load(project, moved)
    assert loaded.catalog
    location = loaded.sources.locate("service", "search", "spec.language.name")
    assert location
    assert location.file == (moved / "catalog/search/service.yaml").as_posix()
    assert load(project).findings[0].id == "SVC052", "no services/ in the project itself"


def test_what_clouds_and_kubernetes_allow_is_accepted(project: Path) -> None:
    """Names that are none of ours: namespaces of 63 characters, contexts as EKS, GKE and others write them."""
    replace(project, "services/payments/checkout/service.yaml", "namespace: payments", f"namespace: {'p' * 63}")
    assert load(project).findings == []
    shutil.copytree(BASE.parents[1] / "broken_settings" / "base", project, dirs_exist_ok=True)
    text = (project / "stacks/Pulumi.prod.yaml").read_text()
    for context in (
        "arn:aws:eks:eu-central-1:111122223333:cluster/flameplane-prod",
        "gke_acme-profiling_europe-west1-b_flameplane-prod",
        "admin@prod",
        "flameplane/api-prod-example-com:6443/kube:admin",
    ):
        changed = text.replace("context: flameplane-prod\n", f"context: {context}\n")
        changed = changed.replace("ingressNamespace: ingress", f"ingressNamespace: {'i' * 63}")
        (project / "stacks/Pulumi.prod.yaml").write_text(changed)
        assert load_settings(project, "prod").findings == []


def test_a_tab_in_the_text_of_a_block_is_content(project: Path) -> None:
    file = project / "services/payments/checkout/service.yaml"
    text = file.read_text()
    file.write_text(text + "  requests:\n    query: |\n      sum(\n      \trate(x[5m]))\n  # end\n")
    catalog = load(project).catalog
    assert catalog
    requests = next(s for s in catalog.services if s.name == "checkout").spec.requests
    assert requests and requests.query == "sum(\n\trate(x[5m]))\n"
    file.write_text(text + "  requests:\n    query: |\n      sum(x)\n  source:\n  \trootPath: x\n")
    assert [(f.id, f.location and f.location.line) for f in load(project).findings] == [("SVC004", 25)]


def test_two_meanings_of_a_label_count_after_inheritance(project: Path) -> None:
    """A team's label may take the place of a default that the service moves elsewhere."""
    team = project / "services/catalog/_team.yaml"
    team.write_text(team.read_text() + "  defaults:\n    labels: {version: flameplane.dev/track}\n")
    assert [(f.id, f.location and f.location.file) for f in load(project).findings] == [
        ("SVC035", "services/catalog/_team.yaml")
    ]
    service = project / "services/catalog/search/service.yaml"
    service.write_text(service.read_text() + "  labels: {track: acme.example.com/track}\n")
    assert load(project).findings == []


def test_links_and_pipes_are_refused_unread(project: Path) -> None:
    for name in ("linked", "piped"):
        (project / "services/payments" / name).mkdir()
    (project / "services/payments/linked/service.yaml").symlink_to(project / "services/payments/checkout/service.yaml")
    os.mkfifo(project / "services/payments/piped/service.yaml")
    (project / "services/more").symlink_to(project / "services/catalog")
    places = [(f.id, f.location.file) for f in load(project).findings if f.location]
    assert places == [
        ("SVC040", "services/more"),
        ("SVC040", "services/payments/linked/service.yaml"),
        ("SVC040", "services/payments/piped/service.yaml"),
    ]


def test_empty_services_is_a_warning_and_still_a_catalog(project: Path) -> None:
    for team in ("payments", "catalog"):
        shutil.rmtree(project / "services" / team)
    loaded = load(project)
    assert loaded.catalog
    assert loaded.catalog.services == ()
    assert [(f.id, f.severity) for f in loaded.findings] == [("SVC052", "warning")]


def test_settings_from_pulumi_point_into_the_stack_file(root: Path) -> None:
    """Values that Pulumi has read are checked like the file, and found in it where it has them."""
    file = root / "stacks" / "Pulumi.local.yaml"
    loaded = load_settings(root, "local")
    assert loaded.settings
    values = loaded.settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert check_settings(values, file, root).settings == loaded.settings
    values["cluster"]["kubernetesVersion"] = "1.34"
    (finding,) = check_settings(values, file, root).findings
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "kubernetesVersion" in text)
    assert (finding.id, finding.location and finding.location.line) == ("SET065", line)
    values["cluster"]["kubernetesVersion"] = "1.36"
    values["alert"] = values.pop("alerts")
    (finding,) = check_settings(values, file, root).findings
    assert (finding.id, finding.fix) == ("SET020", "Did you mean alerts?")


def test_settings_that_pulumi_rewrote_are_the_same(root: Path, tmp_path: Path) -> None:
    """`pulumi stack init` adds its salt and writes a boolean beside the maps as text, as `pulumi config set` does."""
    (tmp_path / "stacks").mkdir()
    rewritten = (
        (root / "stacks" / "Pulumi.local.yaml").read_text().replace("flameplane:demo: true", 'flameplane:demo: "true"')
    )
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(rewritten + "encryptionsalt: v1:c2FsdA==:v1:eA==\n")
    loaded = load_settings(tmp_path, "local")
    assert loaded.findings == []
    assert loaded.settings == load_settings(root, "local").settings
    assert loaded.settings and loaded.settings.demo is True


def test_unknown_stack_is_guessed(root: Path) -> None:
    (finding,) = load_settings(root, "locl").findings
    assert (finding.id, finding.fix) == ("SET066", "Did you mean local?")


GONE: list[tuple[tuple[str, ...], list[tuple[str, str]]]] = [
    (("prod",), [("SET066", "stacks/Pulumi.prod.yaml")]),
    (("prod", "staging"), [("SET066", "stacks/Pulumi.prod.yaml"), ("SET066", "stacks/Pulumi.staging.yaml")]),
    (("local", "dev", "staging", "prod"), [("SET066", "stacks")]),
]


@pytest.mark.parametrize(("gone", "expected"), GONE)
def test_settings_that_are_gone_are_missed(
    gone: tuple[str, ...], expected: list[tuple[str, str]], project: Path
) -> None:
    """A program needs the settings of each environment; a folder without one needs services/ only."""
    shutil.copytree(BASE.parents[1] / "broken_settings/base/stacks", project / "stacks")
    for stack in gone:
        (project / f"stacks/Pulumi.{stack}.yaml").unlink()
    assert check_project(project).findings == []
    (project / "Pulumi.yaml").write_text("name: flameplane\n")
    (project / "images.lock").write_bytes((BASE.parents[3] / "images.lock").read_bytes())
    found = check_project(project).findings
    assert [(f.id, f.location and f.location.file) for f in found] == expected
    shutil.rmtree(project / "stacks")
    assert [(f.id, f.message) for f in check_project(project).findings] == [
        ("SET066", "stacks/ holds the settings of no environment")
    ]


def test_generated_fleets_are_clean_and_repeat(tmp_path: Path) -> None:
    """What the benchmarks measure is a valid organisation, the same every time."""
    for size in (12, 130):
        texts = []
        for name in ("one", "two"):
            folder = tmp_path / f"{name}-{size}"
            generate(folder, size)
            loaded = load(folder)
            assert loaded.findings == []
            assert loaded.catalog
            assert len(loaded.catalog.services) == size
            texts.append([file.read_text() for file in sorted(folder.rglob("*.yaml"))])
        assert texts[0] == texts[1]


def test_this_project_is_clean(root: Path) -> None:
    checked = check_project(root)
    assert checked.findings == []
    assert checked.environments == tuple(stacks(root))
    catalog = checked.loaded.catalog
    assert catalog
    assert [t.name for t in catalog.teams] == ["catalog", "insights", "payments", "platform", "storefront"]
    assert len(catalog.services) == 12
    assert {s.spec.language.name for s in catalog.services} == set(LANGUAGES) - {"native"}
    assert {s.name for s in catalog.of_team("payments")} == {"checkout", "ledger", "fraud-scoring"}
    for file in (root / "services").rglob("*.yaml"):
        first = file.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (file.parent / first.partition("=")[2]).is_file()
