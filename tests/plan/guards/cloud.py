"""Cloud resources: what was reviewed is kept word for word, since what one word of a policy does is seen by nobody.

The rules of the pack judge what policies do; this holds the rest: which roles may do what, and what would only fail to
work. After a reviewed change: `python tests/plan/review_cloud.py`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from guards.stack import Guard, Stack
from policies.rule import Manifest
from schemas.allowed import CLOUD_KINDS

REVIEWED = Path(__file__).parents[1] / "reviewed" / "cloud"
DOCUMENTS = ("policy", "assumeRolePolicy")


def cloud_is_as_reviewed(stack: Stack) -> Iterator[str]:
    found = reviewable(stack)
    file = REVIEWED / f"{stack.settings.environment}.yaml"
    reviewed = (yaml.safe_load(file.read_text()) or {}) if file.is_file() else {}
    for resource in sorted(found.keys() | reviewed.keys()):
        if found.get(resource) != reviewed.get(resource):
            yield f"{resource} is not what {file.name} says"


def reviewable(stack: Stack) -> dict[str, Any]:
    """The cloud resources by type and name; policy documents as data. What only the cloud knows is left out."""
    found = (m for m in stack.manifests if str(m["kind"]).startswith("aws:"))
    return {f"{m['kind']} {m['metadata']['name']}": _shown(m) for m in found}


def _shown(manifest: Manifest) -> dict[str, Any]:
    spec = {k: _document(v) if k in DOCUMENTS else v for k, v in manifest["spec"].items()}
    known = {key: value for key, value in spec.items() if isinstance(value, (str, int, float, bool, list, dict))}
    return {"protect": bool(manifest["options"]["protect"]), **json.loads(json.dumps(known))}


def _document(text: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


GUARDS = (Guard(cloud_is_as_reviewed, CLOUD_KINDS),)
