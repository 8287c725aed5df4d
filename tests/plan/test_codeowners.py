"""CODEOWNERS: generated from the declarations, covering what decides about others, and committed as generated."""

import re
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from flameplane.catalog import load
from flameplane.cli import codeowners as command
from flameplane.codeowners import DRIFT, FILE, check, codeowners
from schemas.catalog import Catalog

# A path, and who has to be asked when it changes.
OWNERS = {
    "services/payments/checkout/service.yaml": "@acme/payments @acme/payments-leads",
    "services/payments/_team.yaml": "@acme/payments @acme/payments-leads",
    "services/catalog/search/service.yaml": "@acme/catalog",
    "services/_org.yaml": "@acme/platform",
    "services/newteam/_team.yaml": "@acme/platform",
    "policies/waivers.yaml": "@acme/platform",
    "policies/rules/agent.py": "@acme/platform",
    "exports/2026-11-checkout.yaml": "@acme/platform",
    "stacks/Pulumi.prod.yaml": "@acme/platform",
    "images.lock": "@acme/platform",
    ".github/workflows/platform-review.yml": "@acme/platform",
    "CODEOWNERS": "@acme/platform",
    "components/gateway.py": "@acme/platform",
}


@pytest.fixture
def catalog(root: Path) -> Catalog:
    """What the project declares."""
    found = load(root).catalog
    assert found
    return found


def asked(text: str, path: str) -> str:
    """Who GitHub asks: of the patterns used here (`*`, /folder/, /file), the last that matches."""
    owners = ""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pattern, names = line.split(maxsplit=1)
            if pattern == "*" or f"/{path}" == pattern or (pattern.endswith("/") and f"/{path}".startswith(pattern)):
                owners = names
    return owners


def test_committed_file_is_what_the_declarations_give(root: Path, catalog: Catalog) -> None:
    assert (root / FILE).read_text() == codeowners(catalog), "run flameplane codeowners --write"
    assert check(catalog, root) == []


def test_everything_that_matters_has_owners(catalog: Catalog) -> None:
    text = codeowners(catalog)
    assert {path: asked(text, path) for path in OWNERS} == OWNERS
    patterns = re.findall(r"^([^#\s]\S*) ", text, re.MULTILINE)
    assert len(set(patterns)) == len(patterns)
    for team in catalog.teams:
        assert asked(text, f"services/{team.name}/x/service.yaml") == " ".join(team.metadata.owners)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: text.replace("@acme/payments-leads", "@acme/mallory"), 8),
        (lambda text: text + "/policies/waivers.yaml @acme/mallory\n", 22),
        (lambda text: "".join(text.splitlines(keepends=True)[:-1]), 21),
        (lambda text: "", 1),
    ],
)
def test_drift_is_a_finding(root: Path, catalog: Catalog, tmp_path: Path, change: object, line: int) -> None:
    assert callable(change)
    (tmp_path / FILE).write_text(change(codeowners(catalog)))
    (finding,) = check(catalog, tmp_path)
    assert finding.location
    assert (finding.id, finding.severity, finding.location.line) == (DRIFT, "error", line)
    assert finding.fix == "Run flameplane codeowners --write."


def test_missing_file_is_a_finding(catalog: Catalog, tmp_path: Path) -> None:
    assert [f.id for f in check(catalog, tmp_path)] == [DRIFT]


def test_command(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--check fails, --write mends, --check passes; without owners nothing is written."""
    shutil.copytree(root / "services", tmp_path / "services")
    (tmp_path / "Pulumi.yaml").write_text("name: flameplane\n")
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    command.register(app)
    run = CliRunner().invoke
    codes = [run(app, [flag]).exit_code for flag in ("--check", "--write", "--check")]
    assert codes == [1, 0, 0]
    assert (tmp_path / FILE).read_text() == (root / FILE).read_text()
    org = tmp_path / "services" / "_org.yaml"
    org.write_text(org.read_text().replace('  owners:\n    - "@acme/platform"\n', ""))
    refused = run(app, ["--write"])
    assert refused.exit_code == 1
    assert "add metadata.owners" in refused.stderr
    assert run(app, ["--check", "--write"]).exit_code == 2
