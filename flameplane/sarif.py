"""Findings as SARIF 2.1.0, the form code-scanning services read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from flameplane import __version__
from flameplane.catalog.rules import rule_texts
from flameplane.findings import Finding, Location
from flameplane.fingerprint import fingerprints
from schemas.waivers import TEXTS as WAIVER_TEXTS

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "PROJECTROOT"  # uriBaseId: paths are relative to it, so that a log says nothing about the machine
FINGERPRINT = "flameplane/v1"  # of ``partialFingerprints``: a new way to compute them gets a new number
# Pages of the documentation by the first two letters of a rule's id; other rules stand in service-yaml.md.
_PAGES = {"FP": "policies.md", "WV": "policies.md", "PL": "plan.md", "IM": "plan.md"}
_PLAN = {
    "PLN010": ("Field that the type does not have", "The API server would refuse it or drop it.", "Correct its name."),
    "PLN011": ("Missing field", "The API server would refuse the object.", "Set the field."),
    "PLN012": ("Value of the wrong type", "The API server would refuse the object.", "Use the type that is named."),
    "PLN013": (
        "Option that was not reviewed",
        "What leaves the program would stay, or something would go that should not; Pulumi shows it to no policy.",
        "Leave the option out, or give it where it is needed.",
    ),
    "PLN020": (
        "CODEOWNERS is out of date",
        "A change would be reviewed by others than its owners.",
        "Run flameplane codeowners --write.",
    ),
}


def to_sarif(findings: Sequence[Finding], texts: Mapping[str, tuple[str, str, str]], source: str = "") -> str:
    """One run; ``texts`` gives title, reason and fix of rules beside those of declared files.

    ``source`` is the address of the project's files, for links to the documentation. Waived findings stay in the log,
    as results that an accepted suppression covers.
    """
    waivers = {i: (title, "A waiver lets a finding pass, for a time.", fix) for i, (title, fix) in WAIVER_TEXTS.items()}
    rules = {**rule_texts(), **_PLAN, **waivers, **texts}
    ids = sorted({f.id for f in findings})
    run = {
        "tool": {
            "driver": {
                "name": "flameplane",
                "version": __version__,
                "rules": [_rule(i, rules.get(i), source) for i in ids],
            }
        },
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The folder of Pulumi.yaml."}}},
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(f, ids.index(f.id), mark) for f, mark in zip(findings, fingerprints(findings), strict=True)
        ],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def page_of(rule: str) -> str:
    """The page of docs/ that describes a rule, with the place in it where it has one."""
    file = _PAGES.get(rule[:2], "service-yaml.md")
    return f"docs/{file}#{rule.lower()}" if rule.startswith("FP") else f"docs/{file}"


def _rule(finding_id: str, rule: tuple[str, str, str] | None, source: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": finding_id}
    if rule is not None:
        title, why, fix = rule
        found["shortDescription"] = {"text": title or finding_id}
        found["fullDescription"] = {"text": why or title or finding_id}
        found["help"] = {"text": fix or title, "markdown": f"{why}\n\n**Fix:** {fix}" if fix else why or title}
    if source.startswith("https://"):
        found["helpUri"] = f"{source}/{page_of(finding_id)}"
    return found


def _result(finding: Finding, index: int, fingerprint: str) -> dict[str, Any]:
    details = [finding.message]
    if finding.valid:
        details.append(f"Valid: {', '.join(finding.valid)}.")
    if finding.fix:
        details.append(f"Fix: {finding.fix}")
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": "\n".join(details)},
        "partialFingerprints": {FINGERPRINT: fingerprint},
    }
    if finding.location:
        result["locations"] = [_location(finding.location)]
    if finding.related:
        result["relatedLocations"] = [{"id": i, **_location(at)} for i, at in enumerate(finding.related)]
    if finding.waived:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.waived}]
    return result


def _location(at: Location) -> dict[str, Any]:
    region = {"startLine": at.line, "startColumn": at.column}
    if at.end_column:
        region["endColumn"] = at.end_column
    return {"physicalLocation": {"artifactLocation": {"uri": quote(at.file), "uriBaseId": _ROOT}, "region": region}}
