"""Findings as text, JSON, SARIF and GitHub annotations, and the commands that print them.

Proves the exact forms and the exit codes on made-up findings and small projects. SARIF is held against the rules of
2.1.0 that code-scanning services enforce, not against a service.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flameplane.catalog.report import Report
from flameplane.catalog.rules import RULES
from flameplane.catalog.suggest import closest, reformed
from flameplane.cli import app
from flameplane.findings import Finding, Location, format_findings, in_order

BASE = Path(__file__).parent / "broken" / "base"
AT = Location("services/a b/ü.yaml", 2, 3, 7)
FINDING = Finding(
    "SVC020", "error", "unknown key: 50 % off", AT, ("one", "two"), "Write\n  one: 1", (Location("o.yaml", 9, 1),)
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one mistake in payments, seen from its root."""
    root = tmp_path / "project"
    shutil.copytree(BASE, root)
    (root / "Pulumi.yaml").write_text("name: flameplane\n")
    shutil.copytree(BASE.parents[1] / "broken_settings/base/stacks", root / "stacks")
    shutil.copy(Path(__file__).parents[2] / "images.lock", root)
    file = root / "services/payments/checkout/service.yaml"
    file.write_text(file.read_text().replace("mode: enforce", "mode: enforced"))
    monkeypatch.chdir(root)
    return root


def test_text_marks_the_characters_at_fault(tmp_path: Path) -> None:
    (tmp_path / "services/a b").mkdir(parents=True)
    (tmp_path / AT.file).write_text("a:\n\t word: 1\n")
    assert format_findings([FINDING], "text", tmp_path) == (
        "services/a b/ü.yaml:2:3: unknown key: 50 % off [SVC020]\n"
        " 2 | \t word: 1\n"
        "   | \t ^~~~\n"
        "   valid: one, two\n"
        "   fix: Write\n"
        "          one: 1\n"
        "   see: o.yaml:9:1\n"
    )


def test_text_without_place_or_file(tmp_path: Path) -> None:
    finding = Finding("FP001", "warning", "adds SYS_ADMIN", subject="urn:x")
    assert format_findings([finding], "text", tmp_path) == "warning: urn:x: adds SYS_ADMIN [FP001]\n"
    gone = Finding("SVC051", "error", "missing", Location("gone.yaml", 1, 1))
    assert format_findings([gone], "text", tmp_path) == "gone.yaml:1:1: missing [SVC051]\n"
    assert format_findings([], "text", tmp_path) == ""


def test_text_cannot_steer_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a: \x1b[31m\xff\n")
    text = format_findings([Finding("SVC001", "error", "odd \x1b]0;x\x07", Location("f", 1, 4))], "text", tmp_path)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_text_shows_the_part_of_a_long_line_that_matters(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x" * 1000 + "here" + "y" * 1000)
    text = format_findings([Finding("SVC020", "error", "m", Location("f", 1, 1001, 1005))], "text", tmp_path)
    _, source, marker = text.splitlines()
    assert len(source) < 200
    assert source[marker.index("^") :][: marker.count("~") + 1] == "here"


def test_text_reads_ordinary_files_alone(tmp_path: Path) -> None:
    """A link could show what lies outside the project, a pipe would never end."""
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        text = format_findings([Finding("SVC040", "error", "m", Location(name, 1, 1))], "text", tmp_path)
        assert text == f"{name}:1:1: m [SVC040]\n"


def test_json(tmp_path: Path) -> None:
    (finding,) = json.loads(format_findings([FINDING], "json", tmp_path))["findings"]
    assert finding["location"] == {"file": "services/a b/ü.yaml", "line": 2, "column": 3, "end_column": 7}
    assert (finding["id"], finding["valid"], finding["severity"]) == ("SVC020", ["one", "two"], "error")


def test_github_escapes_what_its_commands_mind(tmp_path: Path) -> None:
    finding = Finding("SVC020", "note", "50 %\nmore", Location("a,b:c.yaml", 2, 3))
    assert format_findings([finding], "github", tmp_path) == (
        "::notice file=a%2Cb%3Ac.yaml,line=2,col=3,title=SVC020::50 %25%0Amore\n"
    )


def test_sarif(tmp_path: Path) -> None:
    other = Finding("FP001", "warning", "adds SYS_ADMIN")
    texts = {"FP001": ("Capabilities", "why", "how")}
    log = json.loads(format_findings([FINDING, other], "sarif", tmp_path, texts))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["FP001", "SVC020"]
    assert rules[0]["shortDescription"]["text"] == "Capabilities"
    assert rules[1]["help"]["text"] == RULES["020"].fix
    first, second = run["results"]
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "SVC020"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "services/a%20b/%C3%BC.yaml", "a relative URI, nothing of the machine"
    assert place["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
    assert place["region"] == {"startLine": 2, "startColumn": 3, "endColumn": 7}
    assert "locations" not in second
    assert {r["level"] for r in run["results"]} <= {"error", "warning", "note", "none"}
    assert str(tmp_path) not in json.dumps(log)


def test_order_is_by_place_and_each_once() -> None:
    late, early = (Finding("SVC020", "error", "x", Location("b", n, 1)) for n in (10, 9))
    other = Finding("SVC001", "error", "x", Location("a", 99, 1))
    assert in_order([late, early, other, late]) == [other, early, late]


def test_report_says_nothing_more_about_a_spoiled_place() -> None:
    report = Report("SET")
    report.add("009", "no is ambiguous", AT, spoils=True)
    report.add("022", "it has to be text", AT)
    assert [f.id for f in report.findings] == ["SET009"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("sampleRateHZ", "sampleRateHz"),
        ("sample_rate_hz", "sampleRateHz"),
        ("sampleRate", "sampleRateHz"),
        ("tpyes", "types"),
        ("memory", None),
        ("x", None),
        ("", None),
    ],
)
def test_did_you_mean(word: str, meant: str | None) -> None:
    assert closest(word, ("sampleRateHz", "types", "cpuSource")) == meant


def test_did_you_mean_knows_other_names() -> None:
    assert closest("rust", ("go", "native")) == "native"
    assert closest("golang", ("go", "native")) == "go"
    assert closest("heap", ("cpu", "alloc")) == "alloc"
    assert reformed("Acme_Shop", "^[a-z0-9-]+$") == "acme-shop"
    assert reformed("???", "^[a-z0-9-]+$") is None


@pytest.mark.parametrize(
    ("text", "pattern", "guess"),
    [
        ("chеckout", "^[a-z0-9-]+$", None),  # the е is Cyrillic: a guess without it would be another name
        ("ｐayments", "^[a-z0-9-]+$", "payments"),
        ("Café", "^[a-z0-9-]+$", "cafe"),
        ("  ", "^[#@a-z0-9-]+$", None),
        ("payments", "^#[a-z]+$", "#payments"),
        ("./services/checkout/", "^[a-z]+(/[a-z]+)*$", "services/checkout"),
        ("../../evil", "^[a-z]+(/[a-z]+)*$", None),
    ],
)
def test_a_guess_is_what_was_meant(text: str, pattern: str, guess: str | None) -> None:
    assert reformed(text, pattern) == guess


def test_validate_exit_codes_and_outputs(project: Path) -> None:
    run = CliRunner().invoke
    result = run(app, ["validate"])
    assert result.exit_code == 1
    assert "service.yaml:18:11: spec.gate.mode is" in result.stdout
    assert "1 finding\n" in result.stderr
    pairs = ["--format", "github", "--output", "-", "--format", "sarif", "--output", "f.sarif"]
    result = run(app, ["validate", *pairs])
    assert result.exit_code == 1
    assert result.stdout.startswith("::error file=services/payments/checkout/service.yaml,line=18,col=11,")
    assert json.loads((project / "f.sarif").read_text())["runs"][0]["results"][0]["ruleId"] == "SVC023"
    assert run(app, ["validate", "services/catalog"]).exit_code == 0, "nothing concerns this folder"
    assert run(app, ["validate", "services/payments"]).exit_code == 1
    assert run(app, ["validate", "services/payments/checkout/service.yaml"]).exit_code == 1
    assert run(app, ["validate", "services/nowhere"]).exit_code == 2
    assert run(app, ["validate", "--format", "xml"]).exit_code == 2
    assert run(app, ["validate", "--format", "text", "--format", "json"]).exit_code == 2
    assert run(app, ["validate", "--output", "no/such/folder/f"]).exit_code == 2
    assert run(app, ["validate", "--fast"]).exit_code == 2
    file = project / "services/payments/checkout/service.yaml"
    file.write_text(file.read_text().replace("enforced", "enforce"))
    result = run(app, ["validate"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "2 services of 2 teams, 4 environments: no findings\n"


def test_validate_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["validate"])
    assert result.exit_code == 2
    assert "no Pulumi.yaml" in result.stderr


def test_explain_cannot_steer_a_terminal(project: Path) -> None:
    file = project / "services/payments/checkout/service.yaml"
    odd = '  source: {ownPrefixes: ["ü"]}\n  requests: {query: "x{a=\\"\\x9b31m\\u202e\\x1b]0;y\\x9c\\"}"}\n'
    file.write_text(file.read_text().replace("enforced", "enforce") + odd)
    for arguments in (["explain", "checkout"], ["explain", "checkout", "--format", "json"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        assert all(c.isprintable() or c == "\n" for c in result.stdout)


def test_explain_command(project: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["explain", "checkout"]).exit_code == 1, "a broken project explains nothing"
    file = project / "services/payments/checkout/service.yaml"
    file.write_text(file.read_text().replace("enforced", "enforce"))
    lines = run(app, ["explain", "checkout"]).stdout.splitlines()
    (mode,) = (line.split(maxsplit=3) for line in lines if line.startswith("spec.gate.mode"))
    limit = "one of enforce, warn (services/_org.yaml:16:5)"
    assert mode == ["spec.gate.mode", "enforce", "services/payments/checkout/service.yaml:18:11", limit]
    assert any(line.endswith("built-in default") for line in lines)
    (days,) = (line.split(maxsplit=3) for line in lines if line.startswith("team.spec.retention.fineDays"))
    limit = "at least 40 (services/_org.yaml:15:18); at most 90"
    assert days[1:] == ["45", "services/payments/_team.yaml:10:15", limit], "retention is the team's"
    document = json.loads(run(app, ["explain", "checkout", "--format", "json"]).stdout)
    limits = [{"text": "at least 1", "origin": None}, {"text": "at most 50", "origin": None}]
    assert {"path": "spec.gate.topN", "value": 5, "origin": None, "limits": limits} in document["values"]
    result = run(app, ["explain", "chekout"])
    assert result.exit_code == 2
    assert "did you mean checkout?" in result.stderr


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from flameplane.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(BASE.parents[3]), **environment},
    )


def test_a_failure_of_our_own_is_one_line(project: Path) -> None:
    """A folder where a file should be, below what the checks foresee: the last resort of main()."""
    broken = {"PYTHONPATH": f"{project}:{BASE.parents[3]}"}
    (project / "rapidfuzz.py").write_text("raise RuntimeError('deep\\ntrouble')\n")
    result = command("validate", **broken)
    assert result.returncode == 3
    assert result.stderr == "flameplane: RuntimeError: deep trouble (--debug shows where)\n"
    assert "Traceback" in command("--debug", "validate", **broken).stderr
    assert "Traceback" in command("validate", FLAMEPLANE_DEBUG="1", **broken).stderr


def test_validate_starts_fast(project: Path) -> None:
    """CPU of the whole process: what a pre-commit hook waits for; gRPC and Pulumi alone would take longer."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert command("validate").returncode == 1
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    loaded = "import sys, flameplane.cli; print({'grpc', 'pulumi', 'google.protobuf'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", loaded], cwd=BASE.parents[3], capture_output=True, text=True, check=True
    )
    assert result.stdout == "set()\n"
