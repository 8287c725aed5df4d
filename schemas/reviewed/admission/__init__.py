"""The admission policies as they were reviewed, word for word, and what binds them.

One file per policy beside this one, with `<image>` for a reference to an image of that name and `<pull policy>` for the
environment's. After a reviewed change: `python tests/plan/review_admission.py`, and read the difference.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from schemas.allowed import AGENT_NAMESPACE, INJECTED_LANGUAGES, NAMESPACES, SYSTEM_NAMESPACE

FOLDER: Final = Path(__file__).parent
IMAGES: Final = ("agent", "receiver", *(f"inject-{language}" for language in INJECTED_LANGUAGES))
PULL_POLICY: Final = "<pull policy>"
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
INJECT: Final = tuple(f"flameplane-inject-{language}" for language in INJECTED_LANGUAGES)
ANCHOR: Final = "flameplane-inject-anchor"
_EVERY: Final = {
    "namespaceSelector": {
        "matchExpressions": [{"key": NAMESPACE_LABEL, "operator": "In", "values": list(NAMESPACES)}],
    }
}
_ONE: Final = {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: AGENT_NAMESPACE}}}
# Which guard holds which namespaces. Deny, and a line in the audit log beside it.
GUARDS: Final = {
    guard: {"policyName": guard, "validationActions": ["Deny", "Audit"], "matchResources": where}
    for guard, where in (
        ("flameplane-access-guard", _EVERY),
        ("flameplane-namespace-guard", _EVERY),
        ("flameplane-node-guard", _ONE),
        ("flameplane-workload-guard", _EVERY),
    )
}
# Takes no pod; without any binding the API server stops watching parameters for good (components/language_agents.py).
ANCHORED: Final = {
    "policyName": INJECT[0],
    "paramRef": {"name": "catalog-organisation", "namespace": SYSTEM_NAMESPACE, "parameterNotFoundAction": "Allow"},
    "matchResources": {
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: SYSTEM_NAMESPACE}},
        "objectSelector": {"matchLabels": {"flameplane.dev/inject-anchor": "never"}},
    },
}


def injection(service: str, language: str, namespace: str, selector: dict[str, str]) -> dict[str, Any]:
    """The spec of the binding that injects an agent into a service's pods: its own, and no others."""
    return {
        "policyName": f"flameplane-inject-{language}",
        "paramRef": {
            "name": f"inject-{service}",
            "namespace": SYSTEM_NAMESPACE,
            "parameterNotFoundAction": "Allow",
        },
        "matchResources": {
            "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: namespace}},
            "objectSelector": {"matchLabels": selector},
        },
    }


@cache
def policies() -> dict[str, dict[str, Any]]:
    """Name -> kind and spec, of every policy."""
    return {file.stem: yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))}
