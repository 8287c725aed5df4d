"""Where declarations lie: what cannot be read, is a link or has a taken name is told, never left out in silence.

Proves on small projects that nothing which was declared is lost, that each such mistake is one finding, and that the
names which are refused are those that would collide in what the platform makes. Folders without rights are tried as a
process without root's capabilities.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components.grafana_sources import datasources
from flameplane.catalog import check_settings, load, load_settings
from flameplane.catalog.places import RESERVED_SERVICES, RESERVED_TEAMS
from flameplane.catalog.project import check_project
from flameplane.catalog.strict import MAX_BYTES

HERE = Path(__file__).parent
CHECKOUT = "services/payments/checkout/service.yaml"
CAPABILITIES = "-dac_override,-dac_read_search"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two services of two teams, and four environments."""
    root = tmp_path / "project"
    shutil.copytree(HERE / "broken" / "base", root)
    shutil.copytree(HERE / "broken_settings" / "base", root, dirs_exist_ok=True)
    return root


def told(root: Path) -> list[tuple[str, str]]:
    """Ids and files of all findings."""
    return [(f.id, f.location.file if f.location else "") for f in check_project(root).findings]


@pytest.mark.parametrize(
    ("folder", "mode", "expected"),
    [
        ("services/payments", 0o000, "services/payments:1:1: the folder services/payments cannot be read"),
        ("services/payments/checkout", 0o000, "services/payments/checkout:1:1: the folder"),
        ("services/payments", 0o444, "services/payments:1:1: the folder services/payments cannot be read"),
        ("services", 0o000, "services:1:1: the folder services cannot be read"),
        ("stacks", 0o000, "stacks:1:1: the folder stacks cannot be read"),
        ("stacks", 0o444, "stacks:1:1: the folder stacks cannot be read"),
    ],
)
def test_a_folder_without_rights_is_one_finding(project: Path, folder: str, mode: int, expected: str) -> None:
    as_nobody = ["setpriv", f"--bounding-set={CAPABILITIES}", f"--inh-caps={CAPABILITIES}"] if not os.geteuid() else []
    if as_nobody and not shutil.which("setpriv"):
        pytest.skip("root reads everything, and setpriv (util-linux) is not there to give that up")
    (project / folder).chmod(mode)
    try:
        command = [*as_nobody, sys.executable, "-c", "from flameplane.cli import main; main()", "validate"]
        (project / "Pulumi.yaml").write_text("name: flameplane\n")
        shutil.copy(HERE.parents[1] / "images.lock", project)
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    finally:
        (project / folder).chmod(0o755)
    assert result.returncode == 1, result.stderr
    assert result.stdout.startswith(expected)
    assert re.findall(r"\[([A-Z]{3}\d+)\]", result.stdout) == ["SET001" if folder == "stacks" else "SVC001"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("services", ("SVC040", "services")),
        ("services/_org.yaml", ("SVC040", "services/_org.yaml")),
        ("services/payments/_team.yaml", ("SVC040", "services/payments/_team.yaml")),
        ("services/payments/checkout", ("SVC040", "services/payments/checkout")),
        ("stacks", ("SET040", "stacks")),
        ("stacks/Pulumi.prod.yaml", ("SET040", "stacks/Pulumi.prod.yaml")),
        ("images.lock", ("LCK001", "images.lock")),
    ],
)
def test_a_link_is_one_finding(project: Path, tmp_path: Path, name: str, expected: tuple[str, str]) -> None:
    shutil.copy(HERE.parents[1] / "images.lock", project)
    (project / name).rename(tmp_path / "elsewhere")
    (project / name).symlink_to(tmp_path / "elsewhere")
    assert told(project) == [expected]


def test_a_folder_that_was_named_may_be_a_link(project: Path, tmp_path: Path) -> None:
    (tmp_path / "fleet").symlink_to(project / "services")
    assert load(project, tmp_path / "fleet").catalog == load(project).catalog


def test_a_link_that_leads_nowhere_is_no_missing_file(project: Path) -> None:
    file = project / "stacks" / "Pulumi.prod.yaml"
    file.unlink()
    file.symlink_to("gone.yaml")
    assert [f.id for f in load_settings(project, "prod").findings] == ["SET040"]
    assert told(project) == [("SET040", "stacks/Pulumi.prod.yaml")]


def test_a_linked_stack_file_is_refused_when_pulumi_has_read_it(project: Path, tmp_path: Path) -> None:
    file = project / "stacks" / "Pulumi.prod.yaml"
    loaded = load_settings(project, "prod")
    assert loaded.settings
    values = loaded.settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert check_settings(values, file, project).settings == loaded.settings
    file.rename(tmp_path / "elsewhere.yaml")
    file.symlink_to(tmp_path / "elsewhere.yaml")
    found = check_settings(values, file, project)
    assert found.settings is None
    assert [(f.id, f.location and f.location.file) for f in found.findings] == [("SET040", "stacks/Pulumi.prod.yaml")]


def folder_for_file(file: Path) -> None:
    file.unlink()
    (file / "deeper").mkdir(parents=True)
    (file / "deeper" / "service.yaml").write_text("x: 1\n")


def pipe_for_file(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("change", [folder_for_file, pipe_for_file])
@pytest.mark.parametrize(
    "name", [CHECKOUT, "services/payments/_team.yaml", "services/_org.yaml", "stacks/Pulumi.prod.yaml"]
)
def test_what_is_no_file_is_one_finding(project: Path, name: str, change: Callable[[Path], None]) -> None:
    change(project / name)
    assert told(project) == [("SVC040" if name.startswith("services") else "SET040", name)]


def test_a_forgotten_file_is_told_and_notes_are_not(project: Path) -> None:
    (project / "services/payments/checkout/notes").mkdir()
    (project / "services/payments/checkout/notes/why.md").write_text("# Why\n")
    (project / "services/README.txt").write_text("x\n")
    (project / "services/.cache/x").mkdir(parents=True)
    assert told(project) == []
    (project / CHECKOUT).rename(project / "services/payments/checkout/service.md")
    assert told(project) == [("SVC053", "services/payments/checkout")]


def test_a_file_that_is_too_large_is_not_said_to_be_no_utf8(project: Path) -> None:
    (project / CHECKOUT).write_text("#" * (MAX_BYTES + 1))
    (finding,) = check_project(project).findings
    assert finding.id == "SVC001"
    assert "UTF-8" not in finding.fix


def renamed(project: Path, team: str) -> Path:
    """The project with the team payments under another name."""
    folder = project / "services" / team
    (project / "services/payments").rename(folder)
    for file in folder.rglob("*.yaml"):
        key = "name" if file.name == "_team.yaml" else "team"
        file.write_text(file.read_text().replace(f"{key}: payments\n", f"{key}: {team}\n"))
    return project


@pytest.mark.parametrize("team", [*RESERVED_TEAMS, "catalog-traces", "catalog-longterm"])
def test_reserved_team_names_are_refused(project: Path, team: str) -> None:
    assert told(renamed(project, team)) == [("SVC049", f"services/{team}/_team.yaml")]


@pytest.mark.parametrize("name", RESERVED_SERVICES)
def test_reserved_service_names_are_refused(project: Path, name: str) -> None:
    folder = project / "services/payments" / name
    (project / "services/payments/checkout").rename(folder)
    file = folder / "service.yaml"
    file.write_text(file.read_text().replace("  name: checkout\n  team", f"  name: {name}\n  team"))
    assert told(project) == [("SVC049", f"services/payments/{name}/service.yaml")]


@pytest.mark.parametrize("team", ["traces", "prometheus-team", "longterm", "team", "anchor", "a" * 40])
def test_data_sources_of_accepted_teams_are_apart(project: Path, team: str) -> None:
    """The names that are refused are those that need it: with any other, each data source has an id of its own."""
    assert told(renamed(project, team)) == []
    settings, catalog = load_settings(project, "prod").settings, load(project).catalog
    assert settings
    assert catalog
    sources = yaml.safe_load(datasources(settings.correlation, catalog, "http://gateway"))["datasources"]
    uids = [source["uid"] for source in sources]
    assert len(uids) == len(set(uids)) == 7
