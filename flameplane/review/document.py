"""A review and an estimate as JSON; docs/plan.md describes the keys."""

from dataclasses import asdict
from typing import Any

from flameplane.cost import Estimate
from flameplane.findings import Finding
from flameplane.review.objects import ObjectChange
from flameplane.review.review import Review


def changes(found: Review) -> dict[str, Any]:
    """What differs from the base. Values stand in words, in which secrets are never shown."""
    return {
        "base": found.ref,
        "commit": found.commit,
        "problem": found.problem,
        "openings": list(found.openings),
        "declared": [
            {"team": d.team, "what": d.words, "where": str(d.where) if d.where else None} for d in found.declared
        ],
        "images": [image.words for image in found.images],
        "waivers": [{"state": w.state, "what": w.words} for w in found.waivers],
        "objects": [
            {
                "state": o.state,
                "title": o.title,
                "layer": o.layer,
                "team": o.team,
                "fields": [f.words() for f in o.fields],
            }
            for o in found.objects
        ],
        "findings": {
            "new": [_finding(f) for f in found.new],
            "before": [_finding(f) for f in found.before],
            "fixed": [_finding(f) for f in found.fixed],
        },
    }


def cost(estimate: Estimate) -> dict[str, Any]:
    """USD a month and stored GB, rounded to what the model can tell."""
    return {
        "usd": round(estimate.usd, 2),
        "storedGb": round(estimate.stored_gb, 2),
        "sharedUsd": round(estimate.shared_usd, 2),
        "ceilingUsd": estimate.ceiling_usd,
        "teams": [_rounded(asdict(team)) for team in estimate.teams],
        "services": [_rounded(asdict(service)) for service in estimate.services],
        "assumptions": list(estimate.assumptions),
    }


def _object(change: ObjectChange) -> dict[str, Any]:
    fields = [field.words() for field in change.fields]
    return {
        "state": change.state,
        "title": change.title,
        "layer": change.layer,
        "team": change.team,
        "fields": fields,
    }


def _finding(finding: Finding) -> str:
    return f"{finding.id}: {finding.message}"


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    names = {"stored_gb": "storedGb", "ceiling_usd": "ceilingUsd", "ceiling_gb": "ceilingGb"}
    return {names.get(key, key): round(value, 2) if isinstance(value, float) else value for key, value in row.items()}
