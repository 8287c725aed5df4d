"""What a rule sees of a Pulumi resource, and of the environment: plain manifests, whatever the provider.

A Kubernetes object is its own manifest. Anything else, such as a bucket, becomes one of the same form: `kind` is the
Pulumi type, `spec` the inputs as they are sent.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from policies.rule import Manifest

SETTINGS: Final = "Settings"  # kind of the one manifest that holds the settings of the environment
RESOURCE: Final = "Resource"  # kind of what Pulumi knows of a resource beside its inputs
PROVIDERS: Final = "pulumi:providers:"
HELM_RELEASE: Final = (
    "kubernetes:helm.sh/v3:Release"  # the one kubernetes: type that is no object: it hides those it makes
)
# Resources of Pulumi's own and our components, which group others and are nothing in themselves.
_GROUPS: Final = ("pulumi:", "flameplane:")


def manifest(resource_type: str, name: str, inputs: Manifest, *, protect: bool = False) -> Manifest | None:
    """The manifest of a resource; None for what is only a group of others."""
    if resource_type.startswith(_GROUPS):
        return None
    if resource_type == HELM_RELEASE:
        return {"kind": "Release", "metadata": {"name": name}}
    if resource_type.startswith("kubernetes:"):
        return inputs
    return {"kind": resource_type, "metadata": {"name": name}, "spec": inputs, "options": {"protect": protect}}


def resource(urn: str, inputs: Manifest, options: Mapping[str, Any], provider: str | None) -> Manifest | None:
    """What Pulumi knows of a resource of the platform: of a provider its inputs, of any other the options and the
    explicit provider (its URN; None: the default one). None for groups, and for what is part of no component of ours.
    """
    types, _, called = urn.split("::", 2)[2].partition("::")
    *parents, own = types.split("$")
    inside = any(parent.startswith("flameplane:") for parent in parents)
    if not inside or (own.startswith(_GROUPS) and not own.startswith(PROVIDERS)):
        return None
    return {
        "kind": RESOURCE,
        "metadata": {"name": f"{own}::{called}"},
        "spec": inputs if own.startswith(PROVIDERS) else {},
        "options": options,
        "provider": "::".join(provider.split("::")[2:4]).rpartition("$")[2] if provider else None,
    }


def settings(stack: str, config: Mapping[str, str]) -> Manifest | None:
    """The settings of the environment from Pulumi's configuration (`project:key` to a text); None without any.

    Rules compare with them what only settings know: the organisation, the account, which environment this is.
    """
    values: dict[str, Any] = {}
    for key, text in config.items():
        project, _, short = key.partition(":")
        if project != "pulumi" and short:
            values[short] = _value(text)
    return {"kind": SETTINGS, "metadata": {"name": stack}, "spec": values} if values else None


def _value(text: str) -> Any:
    """Pulumi hands maps, lists, numbers and truth values over as JSON, and text as it is."""
    if text.startswith(("{", "[")) or text in ("true", "false"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
