"""Small, described changes of what an environment really declares: the fixtures of rules that judge many resources.

A fixture whose first document has `base: prod` is the recorded prod with the changes that it lists:

    base: prod
    what: The profile bucket may become public.
    place: components/aws/bucket.py    # file that the finding has to point at
    change:
      - in: aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock/profiles
        set: {spec.blockPublicPolicy: false}

`in` is Kind/namespace/name or Kind/name. Paths are as everywhere (`spec.ports[0].nodePort`); an entry of a list can
also be named by its Sid, id or name (`Statement["DenyPlainTransport"]`); what is below `!` is inside a text that holds
YAML or JSON. `set`, `append` and `drop` change a place, `remove: true` leaves the whole
object out, `add` is one more manifest.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from flameplane.catalog.tree import parse_path
from flameplane.plan.values import UNKNOWN
from policies.objects import at

Manifests = list[dict[str, Any]]


def changed(manifests: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]) -> Manifests:
    """The manifests with the changes. What is not changed stays the same object."""
    found = [dict(m) for m in manifests]
    for change in changes:
        if "add" in change:
            found.append(copy.deepcopy(change["add"]))
            continue
        (index,) = [i for i, m in enumerate(found) if identity(m) == change["in"]]
        if change.get("remove"):
            del found[index]
            continue
        changed_one = copy.deepcopy(found[index], {id(UNKNOWN): UNKNOWN})  # there is one of it
        for path, value in (change.get("set") or {}).items():
            edit(changed_one, path, lambda holder, key, value=value: holder.__setitem__(key, value))
        for path, value in (change.get("append") or {}).items():
            edit(changed_one, path, lambda holder, key, value=value: _append(holder, key, value))
        for path in change.get("drop") or ():
            edit(changed_one, path, lambda holder, key: holder.__delitem__(key))
        assert changed_one != found[index], f"{change} changes nothing"
        found[index] = changed_one
    return found


def identity(manifest: Mapping[str, Any]) -> str:
    """Kind/namespace/name or Kind/name."""
    parts = (manifest["kind"], at(manifest, "metadata", "namespace"), at(manifest, "metadata", "name"))
    return "/".join(str(part) for part in parts if part)


def edit(manifest: dict[str, Any], path: str, change: Any) -> None:
    """Change the place at ``path``, through texts that hold documents."""
    outer, _, inner = path.partition("!")
    holder, key = _place(manifest, outer)
    if not inner:
        change(holder, key)
        return
    document = yaml.safe_load(holder[key])
    edit(document, inner, change)
    is_json = holder[key].lstrip().startswith("{")
    holder[key] = json.dumps(document, sort_keys=True) if is_json else yaml.safe_dump(document, sort_keys=False)


def _place(value: Any, path: str) -> tuple[Any, Any]:
    """The map or list that holds a path's last step, and that step."""
    *steps, last = parse_path(path)
    for step in steps:
        if isinstance(value, dict) and step not in value:
            value[step] = {}
        value = value[_index(value, step)]
    return value, _index(value, last)


def _index(value: Any, step: Any) -> Any:
    if isinstance(value, list) and isinstance(step, str):
        named = [i for i, v in enumerate(value) if step in (v.get("Sid"), v.get("id"), v.get("name"))]
        assert len(named) == 1, f"{step} stands {len(named)} times in a list"
        return named[0]
    return step


def _append(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, dict) and key not in holder:
        holder[key] = []
    holder[key].append(value)
