"""Cloud resources: every field of what is declared, and every part of every policy document."""

import json
from collections.abc import Iterator
from typing import Any

from mutations.edit import Edit, Mutation, Path, appended, drop, each, get, leaves, mutating, put, removed, replaced
from policies.rule import Manifest

DOCUMENTS = ("policy", "assumeRolePolicy")
# Texts that only people read, or that AWS fills in alike.
WORDS = ("description", "tags", "tagKey", "id", "filters")
EVERYBODY = {"Sid": "More", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    if manifest["kind"].startswith("aws:"):
        yield from mutating(manifest, _resource(manifest))


def _resource(manifest: Manifest) -> Iterator[Edit]:
    yield "left out", None
    if get(manifest, ("options", "protect")):
        yield from replaced(manifest, ("options", "protect"), False)
    for path in leaves(manifest["spec"], ("spec",)):
        if any(word in path for word in WORDS):
            continue
        value = get(manifest, path)
        if path[-1] in DOCUMENTS:
            yield from _document(manifest, path)
        elif value is False:
            yield from replaced(manifest, path, True)  # leaving it out is the same
        elif not isinstance(value, (dict, list)) and isinstance(value, (str, int, float)):
            yield from _value(manifest, path, value)


def _value(manifest: Manifest, path: Path, value: Any) -> Iterator[Edit]:
    if not isinstance(path[-1], int):
        yield from removed(manifest, path)
    if value is True:
        yield from replaced(manifest, path, False)
    elif isinstance(value, str):
        yield from replaced(manifest, path, "other")
    else:
        yield from replaced(manifest, path, 1, 100_000)


def _document(manifest: Manifest, path: Path) -> Iterator[Edit]:
    document = json.loads(get(manifest, path))
    yield from removed(manifest, path)
    for what, changed in _statements(document):
        yield f"{path[-1]}: {what}", put(manifest, path, json.dumps(changed))


def _statements(document: Any) -> Iterator[Edit]:
    yield from appended(document, ("Statement",), EVERYBODY)
    for statement in each(document, ("Statement",)):
        yield from removed(document, statement)
        effect = get(document, (*statement, "Effect"))
        yield from replaced(document, (*statement, "Effect"), "Deny" if effect == "Allow" else "Allow")
        for element in ("Action", "Resource", "Principal"):
            found = get(document, (*statement, element))
            if found is None:
                continue
            if effect == "Allow" and found != "*":
                yield from replaced(document, (*statement, element), "*")
            if effect == "Deny":
                none = {"AWS": "arn:aws:iam::000000000000:role/none"} if element == "Principal" else "s3:None"
                yield from replaced(document, (*statement, element), none)
                if isinstance(found, list):
                    for entry in each(document, (*statement, element)):
                        yield f"{entry} removed", drop(document, entry)
        for operator, keys in (get(document, (*statement, "Condition")) or {}).items():
            for key in keys:
                place: Path = (*statement, "Condition", operator, key)
                yield from removed(document, place)
                yield from replaced(document, place, "other", "*")
