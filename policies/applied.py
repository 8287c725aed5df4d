"""What of an object was declared, once the API server has filled in the rest.

For resources that `pulumi up --target` leaves out, of which the pack sees no inputs in that run (policies/adapter.py):
they come as the server returned them, with every default. A rule that compares an object with what was reviewed is
about what was declared: the fields that Pulumi's provider owns after a server-side apply, as
`metadata.managedFields` lists them (Kubernetes documentation, "Server-Side Apply"; structured-merge-diff, `fieldpath`).
Lists and maps that are owned as a whole hold defaults too: these are known by name and value. Nobody can hide a field
this way: to declare managedFields is a finding of rule FP016.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies.objects import at, items
from policies.rule import Manifest

MANAGER: Final = "pulumi-kubernetes"  # how the names of the provider's field managers begin
_ALWAYS: Final = ("apiVersion", "kind")  # what an object is called is owned by nobody
# What the server fills in inside of what is owned as a whole: rules of admission policies, claim templates. No default
# of these says more than to leave it out.
_DEFAULTS: Final[Mapping[str, Any]] = {
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "scope": "*",
    "status": {"phase": "Pending"},
    "volumeMode": "Filesystem",
}


def declared(manifest: Manifest) -> Manifest:
    """The object without what it was not declared with; the same where the server has not seen it."""
    owned = [
        entry.get("fieldsV1") or {}
        for entry in items(at(manifest, "metadata", "managedFields"))
        if entry.get("operation") == "Apply" and str(entry.get("manager")).startswith(MANAGER)
    ]
    if not owned:
        return manifest
    kept: dict[str, Any] = {key: manifest[key] for key in _ALWAYS if key in manifest}
    kept |= _map(manifest, owned)
    called = {key: manifest["metadata"][key] for key in ("name", "namespace") if key in manifest["metadata"]}
    kept["metadata"] = {**called, **kept.get("metadata", {})}
    return kept


def _owned(value: Any, fields: Sequence[Mapping[str, Any]]) -> Any:
    """A value as far as it is owned: whole where nothing is listed below it."""
    below = [key for field in fields for key in field if key != "."]
    if not below:
        return _bare(value)
    return _map(value, fields) if isinstance(value, Mapping) else _list(value, fields)


def _bare(value: Any) -> Any:
    """A value without the server's defaults."""
    if isinstance(value, Mapping):
        defaults = {**_DEFAULTS, "apiVersion": "v1"} if "fieldPath" in value else _DEFAULTS  # a reference to a field
        return {k: _bare(value[k]) for k in value if not (k in defaults and value[k] == defaults[k])}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_bare(entry) for entry in value]
    return value


def _map(value: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in value:
        if ways := [field[f"f:{key}"] for field in fields if f"f:{key}" in field]:
            found[key] = _owned(value[key], ways)
    return found


def _list(value: Any, fields: Sequence[Mapping[str, Any]]) -> list[Any]:
    found = []
    for index, entry in enumerate(value):
        ways = [field[way] for field in fields for way in field if _is(entry, index, way)]
        if ways:
            found.append(_owned(entry, ways))
    return found


def _is(entry: Any, index: int, way: str) -> bool:
    """Whether a way of `fieldsV1` leads to this entry: by its keys, its value or its place."""
    kind, _, what = way.partition(":")
    if kind == "k":
        return isinstance(entry, Mapping) and all(entry.get(key) == value for key, value in json.loads(what).items())
    if kind == "v":
        return bool(entry == json.loads(what))
    return kind == "i" and index == int(what)
