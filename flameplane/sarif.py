"""Findings as SARIF 2.1.0, the form code-scanning services read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from flameplane import __version__
from flameplane.catalog.rules import rule_texts
from flameplane.findings import Finding, Location

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "PROJECTROOT"  # uriBaseId: paths are relative to it, so that a log says nothing about the machine


def to_sarif(findings: Sequence[Finding], texts: Mapping[str, tuple[str, str, str]]) -> str:
    """One run; ``texts`` gives title, reason and fix of rules beside those of declared files."""
    rules = {**rule_texts(), **texts}
    ids = sorted({f.id for f in findings})
    run = {
        "tool": {
            "driver": {
                "name": "flameplane",
                "version": __version__,
                "rules": [_rule(i, rules.get(i)) for i in ids],
            }
        },
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The folder of Pulumi.yaml."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(f, ids.index(f.id)) for f in findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(finding_id: str, rule: tuple[str, str, str] | None) -> dict[str, Any]:
    if rule is None:
        return {"id": finding_id}
    title, why, fix = rule
    return {
        "id": finding_id,
        "shortDescription": {"text": title},
        "fullDescription": {"text": why},
        "help": {"text": fix},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
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
    }
    if finding.location:
        result["locations"] = [_location(finding.location)]
    if finding.related:
        result["relatedLocations"] = [{"id": i, **_location(at)} for i, at in enumerate(finding.related)]
    return result


def _location(at: Location) -> dict[str, Any]:
    region = {"startLine": at.line, "startColumn": at.column}
    if at.end_column:
        region["endColumn"] = at.end_column
    return {"physicalLocation": {"artifactLocation": {"uri": quote(at.file), "uriBaseId": _ROOT}, "region": region}}
