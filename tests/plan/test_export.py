"""`flameplane export request|list`, by flags and on a terminal (a real pty); and the whole way of one request: written,
valid, judged by the policy pack, shown to reviewers.

Cannot prove that a pull request is approved: branch protection and CODEOWNERS do that.
"""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from review_sample import Sample
from terminal import Terminal
from typer.testing import CliRunner

from flameplane.catalog import load, load_grants
from flameplane.catalog.project import check_project
from flameplane.cli import app
from schemas.grant import Grant

BASE = Path(__file__).parent / "broken" / "base"
PURPOSE = "Postmortem 4711: the vendor's support looks at a lock"
FLAGS = {
    "--service": "checkout",
    "--from": "2h",
    "--to": "90m",
    "--purpose": PURPOSE,
    "--requester": "jane@example.com",
    "--id": "g1",
}
FILE = "exports/g1.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    shutil.copytree(BASE, root)
    (root / "Pulumi.yaml").write_text("name: flameplane\n")
    shutil.copytree(BASE.parents[1] / "broken_settings/base/stacks", root / "stacks")
    org = root / "services/_org.yaml"
    org.write_text(org.read_text().replace("  name: acme\n", '  name: acme\n  owners: ["@acme/platform", "@joe"]\n'))
    (tmp_path / "gitconfig").write_text("[user]\n  email = jane@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(root)
    return root


def run(*more: str, without: str = "", **changed: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `export request` with every flag that it needs, but for ``without``."""
    flags = FLAGS | {f"--{key.strip('_')}": value for key, value in changed.items()}
    arguments = [part for flag, value in flags.items() if flag != without for part in (flag, value)]
    result = CliRunner().invoke(app, ["export", "request", *arguments, *more])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def the_one(project: Path) -> Grant:
    (grant,) = load_grants(project, load(project).catalog).grants
    return grant


def test_flags_write_a_file_that_validates(project: Path) -> None:
    now = datetime.now(UTC)
    code, out, err = run()
    assert (code, out) == (0, "")
    assert err.startswith(f"{FILE} written next: git switch -c export-g1 && git add {FILE} && git commit")
    assert "open a pull request; @acme/platform has to approve it, and nobody approves what they ask for" in err
    assert "X-Flameplane-Grant: g1" in err
    assert (project / FILE).read_text().startswith("# yaml-language-server: $schema=../schemas/grant.v1.schema.json\n")
    assert not [f for f in check_project(project).findings if f.location and f.location.file == FILE]
    grant = the_one(project)
    spec = grant.spec
    assert (spec.requester, spec.approver, spec.purpose) == ("jane@example.com", "@acme/platform", PURPOSE)
    assert (spec.team, spec.service, spec.format) == ("payments", "checkout", "pprof")
    assert grant.expires - grant.granted == timedelta(3)
    start, end = grant.window
    assert end - start == timedelta(minutes=30)
    assert abs(now - end - timedelta(minutes=90)) < timedelta(minutes=2)


def test_every_flag_and_an_id_of_its_own(project: Path) -> None:
    more = {"from_": "2026-11-20T08:00:00+01:00", "to": "2026-11-20 08:30", "format": "dot", "approver": "@joe"}
    code, _, _ = run(without="--id", expires="12h", **more)
    assert code == 0
    grant = the_one(project)
    assert re.fullmatch(r"[0-9]{8}-[0-9]{4}-checkout", grant.name)
    assert grant.spec.format == "dot"
    assert grant.spec.approver == "@joe"
    assert (grant.spec.window.from_, grant.spec.window.to) == ("2026-11-20T07:00:00Z", "2026-11-20T08:30:00Z")
    assert grant.expires - grant.granted == timedelta(hours=12)


def test_the_schema_of_the_first_line_is_there(root: Path) -> None:
    arguments = [part for flag in FLAGS.items() for part in flag]
    text = CliRunner().invoke(app, ["export", "request", *arguments, "--dry-run"]).stdout
    assert text, "the project itself takes a request"
    assert (root / FILE).parent.joinpath(text.splitlines()[0].partition("$schema=")[2]).resolve().is_file()


def test_dry_run_prints_and_writes_nothing(project: Path) -> None:
    code, out, err = run("--dry-run")
    assert code == 0
    assert "kind: ExportGrant" in out
    assert err == f"{FILE} was not written: --dry-run"
    assert not (project / "exports").exists()


def test_nothing_is_overwritten(project: Path) -> None:
    assert run()[0] == 0
    before = (project / FILE).read_text()
    code, _, err = run(format="tree")
    assert code == 2
    assert f"{FILE} exists already; it is not replaced" in err
    assert (project / FILE).read_text() == before


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("service", "chekout", "there is no service chekout; did you mean checkout? services are checkout, search"),
        ("format", "dott", "there is no format dott; did you mean dot? formats are pprof, tree, dot"),
        ("approver", "@jim", "there is no owner @jim; owners are @acme/platform, @joe"),
        ("to", "soon", "soon is no time; valid: 2026-11-20T08:00:00Z, 90m, 24h, 7d"),
        ("id", "../g1", "../g1 is no name: lower-case letters"),
    ],
)
def test_a_wrong_flag_is_told_with_what_is_valid(flag: str, value: str, words: str, project: Path) -> None:
    code, _, err = run(**{flag: value})
    assert code == 2
    assert f"Invalid value for --{flag}: {words}" in err
    assert not (project / "exports").exists()


@pytest.mark.parametrize(
    ("changed", "ids"),
    [
        ({"to": "3h"}, ["EXP095"]),
        ({"from_": "120d", "to": "119d"}, ["EXP095"]),
        ({"from_": "88d", "to": "87d"}, ["EXP095"]),  # of 90 days declared, the last five are for deletion
        ({"expires": "8d"}, ["EXP096"]),
        ({"purpose": "debugging", "requester": "joe@example.com", "approver": "@joe"}, ["EXP091", "EXP093"]),
        ({"requester": "jane, joe"}, ["EXP025"]),
    ],
)
def test_the_validator_decides_and_nothing_is_half_written(
    changed: dict[str, str], ids: list[str], project: Path
) -> None:
    code, _, err = run(**changed)
    assert code == 1
    assert re.findall(r"\[(EXP\d+)\]", err) == ids
    assert err.endswith("nothing was written")
    assert not (project / "exports").exists()


def test_where_nobody_owns_exports_nobody_can_agree(project: Path) -> None:
    org = project / "services/_org.yaml"
    org.write_text(org.read_text().replace('  owners: ["@acme/platform", "@joe"]\n', ""))
    code, _, err = run()
    assert code == 1
    assert err == "nobody owns exports, so nobody could agree: add metadata.owners to services/_org.yaml"


def test_without_a_terminal_all_missing_flags_are_named(project: Path) -> None:
    result = CliRunner().invoke(app, ["export", "request"])
    assert result.exit_code == 2
    flags = "--service, --from, --to, --purpose, --requester"
    assert f"missing: {flags}; without a terminal nothing is asked" in " ".join(result.stderr.split())


def test_a_terminal_is_asked_and_asked_again(project: Path) -> None:
    terminal = Terminal("export", "request", "--id", "g1")
    terminal.expect("Service: ", "chekout\n")
    terminal.expect("Error: there is no service chekout; did you mean checkout?")
    terminal.expect("Service: ", "checkout\n")
    terminal.expect("Format (pprof, tree, dot) [pprof]: ", "\n")
    terminal.expect("Profiles from (2026-11-20T08:00:00Z, or 90m, 24h, 7d ago): ", "2h\n")
    terminal.expect("Until (likewise; 0m is now): ", "later\n")
    terminal.expect("Error: later is no time")
    terminal.expect("Until (likewise; 0m is now): ", "0m\n")
    terminal.expect("What it is for, where it goes, who sees it there: ", f"{PURPOSE}\n")
    terminal.expect("Who will take it [jane@example.com]: ", "\n")
    terminal.expect("Who has to agree (@acme/platform, @joe) [@acme/platform]: ", "@joe\n")
    terminal.expect("Good for (12h, 3d, or a time) [3d]: ", "1d\n")
    terminal.expect(f"{FILE} written")
    assert terminal.exit_code() == 0
    grant = the_one(project)
    assert (grant.spec.requester, grant.spec.approver) == ("jane@example.com", "@joe")
    assert grant.expires - grant.granted == timedelta(1)


def test_who_leaves_writes_nothing(project: Path) -> None:
    terminal = Terminal("export", "request", "--service", "checkout")
    terminal.expect("Format (pprof, tree, dot) [pprof]: ")
    terminal.leave()
    assert terminal.exit_code() == 1
    assert not (project / "exports").exists()


def test_the_list(project: Path) -> None:
    result = CliRunner().invoke(app, ["export", "list"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no grants: nothing may leave\n"
    assert run()[0] == 0
    old = (project / FILE).read_text().replace('name: "g1"', 'name: "g0"')
    for found in set(re.findall(r'"(20[0-9-]+T[0-9:]+Z)"', old)):
        moved = datetime.fromisoformat(found) - timedelta(5)
        old = old.replace(found, f"{moved:%Y-%m-%dT%H:%M:%SZ}")
    (project / "exports/g0.yaml").write_text(old)
    result = CliRunner().invoke(app, ["export", "list"])
    head, *rows = [line.split() for line in result.stdout.splitlines()]
    assert head == ["ID", "REQUESTER", "SERVICE", "FORMAT", "FROM", "TO", "EXPIRES", "STATE"]
    assert [(row[0], row[2], row[-1]) for row in rows] == [
        ("g0", "payments/checkout", "expired"),
        ("g1", "payments/checkout", "good"),
    ]
    (project / "exports/g0.yaml").write_text(old.replace("pprof", "raw"))
    result = CliRunner().invoke(app, ["export", "list"])
    assert result.exit_code == 1
    assert "EXP023" in result.stderr
    assert result.stdout.count("\n") == 2


def test_the_whole_way_of_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a git repository of the project: what `request` writes, `plan --base` shows, and the policy pack lets pass."""
    sample = Sample(tmp_path / "sample")
    monkeypatch.chdir(sample.folder)
    assert run()[0] == 0
    done = sample.plan("--base", "main", "--format", "json")
    document = json.loads(done.stdout)
    spec = load_grants(sample.folder, load(sample.folder).catalog).grants[0].spec
    line = (
        "export g1: jane may take one pprof of checkout (payments) out of the platform, "
        f"{spec.window.from_} to {spec.window.to}, until {spec.expires}; @acme/platform answers for it: {PURPOSE} "
        "(exports/g1.yaml:1)"
    )
    changes = document["changes"]
    assert line in changes["openings"]
    titles = [item["title"] for item in changes["objects"]]
    assert titles == ["ConfigMap flameplane-access/grants"]
    assert changes["findings"]["new"] == []
    (sample.folder / FILE).write_text((sample.folder / FILE).read_text().replace("pprof", "raw"))
    refused = sample.plan("--base", "main")
    assert refused.returncode == 1
    assert "EXP023" in refused.stderr
