"""SARIF against the official JSON schema of SARIF 2.1.0 (OASIS, errata 01), which a Go module carries.

Code scanning services ask for a little more than the schema: the tests below the schema's say what.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft4Validator

from flameplane.findings import Finding, Location, format_findings
from flameplane.fingerprint import fingerprints
from flameplane.sarif import FINGERPRINT, to_sarif
from local import LocalError, golang

SOURCE = "https://git.example.com/acme/platform/blob/1f2e3d"
AT = Location("services/payments/checkout/service.yaml", 18, 19, 21)
PYTHON = Location("components/node agent.py", 127, 9)
FINDINGS = [
    Finding("SVC024", "error", "199 is out of range", AT, ("0 to 99",), "Use 99."),
    Finding("FP008", "error", "checkout is sampled too often", AT, fix="Lower it.", related=(PYTHON,), subject="urn:x"),
    Finding("FP014", "note", "the team may spend more", PYTHON, waived="until 2027-01-31; @jane: reason"),
    Finding("PLN020", "error", "CODEOWNERS is old", Location("CODEOWNERS", 3, 1)),
    Finding("WVR009", "warning", "expires soon", Location("policies/waivers.yaml", 20, 5)),
    Finding("FP006", "warning", "no place at all"),
]
TEXTS = {"FP008": ("sample-rates", "Why it matters.", "Lower it."), "FP014": ("budget-sum", "Why.", "Raise it.")}


@pytest.fixture(scope="session")
def schema(root: Path) -> dict[str, Any]:
    """The official schema, out of the Go module's source."""
    module = root / "tests" / "tools"
    try:
        go = golang.toolchain(module)
        command = [go.program, "mod", "download", "-json", "github.com/owenrumney/go-sarif/v3"]
        done = subprocess.run(
            command, cwd=module, env={**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise LocalError(done.stderr.strip() or done.stdout)
    except LocalError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NOT RUN: the schema of SARIF cannot be had: {str(error).splitlines()[0]}")
    source = Path(json.loads(done.stdout)["Dir"]) / "pkg/report/v210/sarif/schema.go"
    text = source.read_text()
    found: dict[str, Any] = json.loads(text[text.index("`") + 1 : text.rindex("`")].replace('` + "`" + `', "`"))
    assert found["id"].endswith("sarif-schema-2.1.0.json")
    return found


def log(findings: list[Finding], source: str = SOURCE) -> dict[str, Any]:
    """The log as data."""
    return dict(json.loads(to_sarif(findings, TEXTS, source)))


@pytest.mark.parametrize("source", [SOURCE, ""])
def test_official_schema(schema: dict[str, Any], source: str) -> None:
    validator = Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)
    for findings in (FINDINGS, []):
        assert [e.message for e in validator.iter_errors(log(findings, source))] == []


def test_schema_refuses_what_is_wrong(schema: dict[str, Any]) -> None:
    """The schema is really asked."""
    validator = Draft4Validator(schema)
    wrong = log(FINDINGS)
    wrong["runs"][0]["results"][0]["level"] = "fatal"
    assert not validator.is_valid(wrong)
    unknown = log(FINDINGS)
    unknown["runs"][0]["results"][2]["suppressions"][0]["kind"] = "waived"
    assert not validator.is_valid(unknown)


def test_rules_help(root: Path) -> None:
    """Every rule of a result has texts and a link to a page that exists, at a heading that exists."""
    (run,) = log(FINDINGS)["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert set(rules) == {f.id for f in FINDINGS}
    for ident, rule in rules.items():
        if ident != "FP006":  # not among the texts of this test
            assert rule["help"]["text"]
            assert rule["help"]["markdown"]
        page, _, anchor = rule["helpUri"].removeprefix(f"{SOURCE}/").partition("#")
        text = (root / page).read_text()
        assert not anchor or re.search(rf"^#+ {anchor}$", text, re.MULTILINE | re.IGNORECASE), rule["helpUri"]
    assert all("helpUri" not in rule for rule in log(FINDINGS, "")["runs"][0]["tool"]["driver"]["rules"])


def test_places() -> None:
    """Into services/ first, into the program second, both relative to the project; spaces as URIs have them."""
    (run,) = log(FINDINGS)["runs"]
    result = run["results"][1]
    (place,) = (r["physicalLocation"] for r in result["locations"])
    assert place["artifactLocation"] == {"uri": AT.file, "uriBaseId": "PROJECTROOT"}
    assert place["region"] == {"startLine": 18, "startColumn": 19, "endColumn": 21}
    (related,) = (r["physicalLocation"]["artifactLocation"]["uri"] for r in result["relatedLocations"])
    assert related == "components/node%20agent.py"


def test_waived_findings_stay() -> None:
    (run,) = log(FINDINGS)["runs"]
    suppressed = [r for r in run["results"] if "suppressions" in r]
    assert [r["ruleId"] for r in suppressed] == ["FP014"]
    assert suppressed[0]["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "until 2027-01-31; @jane: reason"}
    ]


def test_fingerprints() -> None:
    """The same when lines move, whoever reports first, waived or not; others when the mistake is another one."""
    one = Finding("FP008", "error", "too often, see components/x.py:12:3", AT, subject="urn:x")
    moved = Finding(
        "FP008", "note", "too often, see components/x.py:80:9", Location(AT.file, 90, 1), subject="urn:x", waived="w"
    )
    other = Finding("FP008", "error", "too often, see components/x.py:12:3", AT, subject="urn:y")
    first, second, third = fingerprints([one, moved, other])
    assert second == f"{first}:2", "indistinguishable findings are numbered"
    assert third.partition(":")[0] != first
    assert fingerprints([moved]) == [first]
    (run,) = log(FINDINGS)["runs"]
    assert [r["partialFingerprints"][FINGERPRINT] for r in run["results"]] == fingerprints(FINDINGS)


@pytest.mark.parametrize("fmt", ["markdown", "junit"])
def test_other_forms(fmt: Any, tmp_path: Path) -> None:
    """Every finding is in it, nobody is notified, and JUnit is XML that counts right."""
    text = format_findings(FINDINGS, fmt, tmp_path)
    assert all(f.id in text for f in FINDINGS)
    if fmt == "markdown":
        assert "`@jane`" in text
        assert format_findings([], fmt, tmp_path) == "No findings.\n"
    else:
        suite = ElementTree.fromstring(text)
        assert [suite.get(k) for k in ("tests", "failures", "skipped")] == ["6", "3", "3"]
        skipped = [case.get("message") for case in suite.findall("testcase/skipped")]
        assert skipped[0] == "waived until 2027-01-31; @jane: reason: the team may spend more"
        assert skipped[1] == "warning: expires soon"
        assert len(suite.findall("testcase")) == 6
        odd = Finding("FP006", "error", "<b> & \x07 ]]>")
        assert ElementTree.fromstring(format_findings([odd], fmt, tmp_path)).find("testcase/failure") is not None
