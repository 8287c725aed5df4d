"""Kubernetes objects of recorded resources."""

from collections.abc import Mapping
from typing import Any, Final

from flameplane.plan.recording import Resource
from flameplane.plan.values import UNKNOWN, Secret, walk

# These first, in this order, wherever a map has them; other keys follow by name. The wire keeps no order of its own.
_FIRST: Final = ("apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations")


def manifest(resource: Resource) -> dict[str, Any] | None:
    """The object of a ``kubernetes:`` resource, with stable key order and without nulls; None for anything else.

    ``UNKNOWN`` and ``Secret`` stay in it: see `unresolved`.
    """
    if not resource.custom or not resource.type.startswith("kubernetes:"):
        return None
    if not {"apiVersion", "kind"} <= resource.inputs.keys():
        return None  # a Helm release or a kustomization: no object of its own
    tidied: dict[str, Any] = _tidy(resource.inputs)
    return tidied


def cloud_kind(resource: Resource) -> str | None:
    """``s3/Bucket`` of a resource of a cloud provider; None for what Kubernetes, Pulumi or a component of ours is."""
    if not resource.custom or resource.type.startswith(("kubernetes:", "pulumi:")):
        return None
    _, module, kind = resource.type.split(":")
    return f"{module.partition('/')[0]}/{kind}"


def unresolved(obj: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Paths of ``obj`` that cannot be written down, each with the reason: ``unknown`` or ``secret``."""
    reasons = []
    for path, value in walk(obj):
        if value is UNKNOWN:
            reasons.append((path, "unknown"))
        elif isinstance(value, Secret):
            reasons.append((path, "secret"))
    return reasons


def title(obj: Mapping[str, Any]) -> str:
    """``kind/name``, as messages name an object."""
    return f"{obj['kind']}/{(obj.get('metadata') or {}).get('name', '')}"


def _tidy(value: Any) -> Any:
    if isinstance(value, Mapping):
        keys = sorted((k for k, v in value.items() if v is not None), key=_rank)
        return {key: _tidy(value[key]) for key in keys}
    if isinstance(value, (list, tuple)):
        return [_tidy(inner) for inner in value]
    return value


def _rank(key: str) -> tuple[int, str]:
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), key)
