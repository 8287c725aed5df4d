"""Broken grants: each case is one mistake in `broken_exports/g1.yaml`, a good grant of the small project `broken/base`.

Proves that each gives exactly the findings of its file in `broken_exports/cases` (id, file, line, column, words, fix),
and that damaged bytes never make the reader raise. Time stands still at NOW.
After a change of words: FLAMEPLANE_UPDATE=1 rewrites the expectations; read the difference.
"""

import os
import random
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
import yaml
from jsonschema import Draft7Validator
from test_catalog_broken import mutated
from typer.testing import CliRunner

from flameplane.catalog import load, load_grants
from flameplane.catalog.project import check_project
from flameplane.catalog.published import schema
from flameplane.cli import app
from flameplane.findings import format_findings
from schemas.allowed import EXPORT_FORMATS, GRANT_DAYS
from schemas.grant import GrantSpec, moment, written

HERE = Path(__file__).parent
GOOD = HERE / "broken_exports" / "g1.yaml"
EXPECTED = HERE / "broken_exports" / "cases"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

Case = tuple[str, str] | Callable[[Path], object]


def text(changed: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "g1.yaml").write_text(changed)


def _link(folder: Path) -> None:
    (folder / "g1.yaml").rename(folder.parent / "elsewhere.yaml")
    (folder / "g1.yaml").symlink_to(folder.parent / "elsewhere.yaml")


def _linked_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def _file_for_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("none\n")


def _no_owners(folder: Path) -> None:
    org = folder.parent / "services" / "_org.yaml"
    org.write_text(org.read_text().replace('  owners: ["@acme/platform", "@joe"]\n', ""))


def _two(*pairs: tuple[str, str]) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        changed = GOOD.read_text()
        for old, new in pairs:
            assert changed.count(old) == 1, old
            changed = changed.replace(old, new)
        (folder / "g1.yaml").write_text(changed)

    return change


CASES: Mapping[str, Case] = {
    # as YAML
    "yaml-duplicate-key": ("  service: checkout\n", "  service: checkout\n  service: search\n"),
    "yaml-anchor": ("payments\n", "&team payments\n"),
    "yaml-tag": ("jane@example.com", "!!str jane@example.com"),
    "yaml-time-without-quotes": ('expires: "2026-11-23T09:00:00Z"', "expires: 2026-11-23T09:00:00Z"),
    "yaml-no-value": ("  format: pprof", "  format:"),
    "yaml-second-document": ("kind: ExportGrant\n", "kind: ExportGrant\n---\n"),
    "yaml-empty": text("# nothing\n"),
    "yaml-at-without-quotes": ('"@acme/platform"', "@acme/platform"),
    # by itself
    "unknown-key": ("  format:", "  tenant: payments\n  format:"),
    "unknown-key-close": ("  purpose:", "  puropse:"),
    "missing-key": ('  expires: "2026-11-23T09:00:00Z"\n', ""),
    "missing-team": ("  team: payments\n", ""),
    "not-allowed-format": ("pprof", "flamegraph"),
    "not-allowed-kind": ("ExportGrant", "Grant"),
    "form-two-requesters": ("jane@example.com", "jane@example.com,joe@example.com"),
    "form-requester-as-owner": ("jane@example.com", '"@jane"'),
    "form-approver-by-mail": ('"@acme/platform"', "joe@example.com"),
    "form-placeholder": ("jane@example.com", "${USER}"),
    "form-all-services": ("checkout", '"*"'),
    "form-time-of-another-zone": ('"2026-11-20T08:30:00Z"', '"2026-11-20T08:30:00+01:00"'),
    "form-time-without-seconds": ('"2026-11-20T08:30:00Z"', '"2026-11-20T08:30Z"'),
    "no-such-day": ('expires: "2026-11-23T09:00:00Z"', 'expires: "2026-11-31T09:00:00Z"'),
    "purpose-of-one-word": ('"Postmortem 4711: the vendor looks at a lock"', "debugging-of-checkout"),
    "purpose-too-short": ('"Postmortem 4711: the vendor looks at a lock"', "to see it"),
    "two-of-the-same-person": _two(("jane@example.com", "Joe@example.com"), ('"@acme/platform"', '"@joe"')),
    "window-backwards": ('from: "2026-11-20T08:00:00Z"', 'from: "2026-11-20T08:30:00Z"'),
    "window-after-the-grant": ('to: "2026-11-20T08:30:00Z"', 'to: "2026-11-24T08:30:00Z"'),
    "holds-for-eight-days": ('expires: "2026-11-23T09:00:00Z"', 'expires: "2026-11-28T09:00:00Z"'),
    "expires-before-it-begins": ('expires: "2026-11-23T09:00:00Z"', 'expires: "2026-11-20T08:45:00Z"'),
    # against what is declared, and the time
    "name-of-another": ("name: g1", "name: g2"),
    "file-that-is-no-name": lambda folder: (folder / "g1.yaml").rename(folder / "G_1.yaml"),
    "team-close": ("team: payments", "team: paymnts"),
    "team-unlike-any": _two(("team: payments", "team: sales"), ("service: checkout", "service: till")),
    "service-close": ("service: checkout", "service: chekout"),
    "service-of-another-team": ("team: payments", "team: catalog"),
    "approver-who-owns-nothing": ('"@acme/platform"', '"@jim"'),
    "approver-where-nobody-owns": _no_owners,
    "window-of-what-is-gone": ('from: "2026-11-20T08:00:00Z"', 'from: "2026-08-01T08:00:00Z"'),
    "granted-tomorrow": _two(
        ('granted: "2026-11-20T09:00:00Z"', 'granted: "2026-11-21T09:00:00Z"'),
        ('expires: "2026-11-23T09:00:00Z"', 'expires: "2026-11-24T09:00:00Z"'),
    ),
    "expired": _two(
        ('granted: "2026-11-20T09:00:00Z"', 'granted: "2026-11-14T09:00:00Z"'),
        ('expires: "2026-11-23T09:00:00Z"', 'expires: "2026-11-20T11:00:00Z"'),
    ),
    # the place
    "place-yml": lambda folder: (folder / "g1.yaml").rename(folder / "g1.yml"),
    "place-folder": lambda folder: (folder / "old").mkdir(),
    "place-link": _link,
    "place-linked-folder": _linked_folder,
    "place-file-for-folder": _file_for_folder,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    shutil.copytree(HERE / "broken" / "base", root)
    org = root / "services" / "_org.yaml"
    org.write_text(org.read_text().replace("  name: acme\n", '  name: acme\n  owners: ["@acme/platform", "@joe"]\n'))
    (root / "exports").mkdir()
    shutil.copy(GOOD, root / "exports" / "g1.yaml")
    return root


def test_the_good_one_is_good(project: Path) -> None:
    assert check_project(project, NOW).findings == []
    loaded = load_grants(project, load(project).catalog, now=NOW)
    assert [grant.name for grant in loaded.grants] == ["g1"]
    assert str(loaded.places["g1"]) == "exports/g1.yaml:1:1"


def test_no_folder_is_no_grant(project: Path) -> None:
    shutil.rmtree(project / "exports")
    assert check_project(project, NOW).findings == []
    assert load_grants(project, load(project).catalog, now=NOW).grants == ()


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_expected_finding(case: str, project: Path) -> None:
    change = CASES[case]
    if isinstance(change, tuple):
        change = _two(change)
    change(project / "exports")
    findings = check_project(project, NOW).findings
    shown = format_findings(findings, "text", project)
    expected = EXPECTED / f"{case}.txt"
    if os.environ.get("FLAMEPLANE_UPDATE") == "1":
        expected.write_text(shown)
    assert shown == expected.read_text()
    assert len(findings) == 1
    assert findings[0].fix
    assert findings[0].id.startswith("EXP")
    grants = load_grants(project, load(project).catalog, now=NOW).grants
    assert bool(grants) == (case in ("expired", "place-folder")), "what is wrong is not applied"


def test_no_expectation_without_a_case() -> None:
    assert {file.stem for file in EXPECTED.iterdir()} == set(CASES)
    assert len(CASES) >= 15


def test_a_broken_catalog_hides_no_mistake_of_a_grant(project: Path) -> None:
    """Nothing is held against services that cannot be read, and the rest is told all the same."""
    (project / "services/payments/_team.yaml").write_text("kind: Team\n")
    _two(("pprof", "raw"), ("team: payments", "team: sales"))(project / "exports")
    found = {f.id for f in check_project(project, NOW).findings}
    assert {i for i in found if i.startswith("EXP")} == {"EXP023"}


def test_an_expired_grant_is_told_and_breaks_no_build(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    granted, expires = datetime.now(UTC) - timedelta(3), datetime.now(UTC) - timedelta(1)
    words = GOOD.read_text().replace("2026-11-23T09:00:00Z", written(expires))
    words = words.replace('granted: "2026-11-20T09:00:00Z"', f'granted: "{written(granted)}"')
    start, end = written(granted - timedelta(hours=2)), written(granted - timedelta(hours=1))
    words = words.replace("2026-11-20T08:00:00Z", start).replace("2026-11-20T08:30:00Z", end)
    (project / "exports" / "g1.yaml").write_text(words)
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["validate"])
    assert result.exit_code == 0
    assert "warning: expired at" in result.stdout
    assert "fix: Delete the file" in result.stdout
    (project / "exports" / "g1.yaml").write_text(words.replace("pprof", "raw"))
    assert CliRunner().invoke(app, ["validate"]).exit_code == 1


def test_damaged_bytes_give_findings_and_never_raise(project: Path) -> None:
    chance = random.Random(20261120)
    catalog, target, findings = load(project).catalog, project / "exports" / "g1.yaml", 0
    for _ in range(300):
        target.write_bytes(data := mutated(GOOD.read_bytes(), chance))
        loaded = load_grants(project, catalog, now=NOW)
        format_findings(loaded.findings, "text", project)
        errors = [f for f in loaded.findings if f.severity == "error"]
        assert bool(loaded.grants) != bool(errors), data
        findings += bool(errors)
    assert findings > 200


def test_the_schema_refuses_what_a_schema_can(project: Path) -> None:
    """An editor shows the mistakes of one value."""
    validator = Draft7Validator(schema("grant"))
    assert validator.is_valid(yaml.safe_load(GOOD.read_text()))
    for case in (
        "unknown-key",
        "missing-key",
        "not-allowed-format",
        "form-two-requesters",
        "form-time-without-seconds",
    ):
        change = CASES[case]
        assert isinstance(change, tuple)
        assert not validator.is_valid(yaml.safe_load(GOOD.read_text().replace(*change))), case


def test_formats_are_those_of_the_table() -> None:
    assert get_args(GrantSpec.model_fields["format"].annotation) == EXPORT_FORMATS
    assert GRANT_DAYS == 7


def test_times_are_read_back() -> None:
    assert written(NOW) == "2026-11-20T12:00:00Z"
    assert moment(written(NOW)) == NOW
    assert moment("2026-02-30T12:00:00Z") is None
