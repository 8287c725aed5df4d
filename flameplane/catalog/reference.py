"""The generated parts of docs/service-yaml.md, docs/environments.md and docs/exports.md.

Fields come from the published schemas, findings from the table of rules, values from the settings files.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from flameplane.catalog.published import schema
from flameplane.catalog.rules import RULES
from flameplane.catalog.settings import PROJECT, load_settings
from flameplane.catalog.shape import inline
from flameplane.catalog.tree import leaves_of, show_path
from schemas.allowed import PROFILE_TYPES
from schemas.settings.environments import ENVIRONMENTS

PAGES: Final = ("docs/service-yaml.md", "docs/environments.md", "docs/exports.md")
PREFIX: Final = f"{PROJECT}:"
_BLOCK = re.compile(r"(<!-- generated: (?P<what>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def update(page: str, root: Path) -> str:
    """The page of the project at ``root`` with its generated parts made anew."""
    return _BLOCK.sub(lambda block: block[1] + _make(block["what"], root) + block[3], page)


def _make(what: str, root: Path) -> str:
    if what == "findings":
        return _findings()
    if what == "values":
        return _values(root)
    return _types() if what == "types" else _fields(what)


def _values(root: Path) -> str:
    """Every setting of every environment; what is not written there in italics: the default, or nothing."""
    columns: dict[str, dict[str, str]] = {}
    for name in ENVIRONMENTS:
        loaded = load_settings(root, name)
        settings = loaded.settings
        document = settings.model_dump(mode="json", by_alias=True, exclude_none=True) if settings else {}
        for path, value in leaves_of(document):
            if value not in ({}, []):
                shown, label = f"`{inline(_whole(value))}`", show_path(path)
                written = loaded.sources.origin("settings", name, label)
                columns.setdefault(label, {})[name] = shown if written else f"*{shown}*"
    rows = ["| Setting | " + " | ".join(ENVIRONMENTS) + " |", "|---|" + "---|" * len(ENVIRONMENTS)]
    order = [known for known, _, _ in _settings_fields()]
    for label in sorted(columns, key=lambda label: _position(label, order)):
        rows.append(f"| `{label}` | " + " | ".join(_cell(columns[label].get(name, "")) for name in ENVIRONMENTS) + " |")
    return "\n".join(rows) + "\n"


def _position(path: str, order: list[str]) -> int:
    below = (i for i, known in enumerate(order) if path == known or path.startswith((f"{known}.", f"{known}[")))
    return next(below, len(order))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _settings_fields() -> list[tuple[str, dict[str, Any], str]]:
    """The fields of a stack file without Pulumi's own, and without the project's prefix."""
    document = schema("settings")
    config = document["properties"]["config"]
    return [
        (path.removeprefix(PREFIX), field, default.replace(PREFIX, ""))
        for path, field, default in _walk(config, document["definitions"], "", ...)
        if path.startswith(PREFIX)
    ]


def _findings() -> str:
    rows = ["| Id | Finding | Why | Fix |", "|---|---|---|---|"]
    for number, rule in RULES.items():
        ids = ", ".join(kind + number for kind in rule.kinds)
        rows.append(f"| {ids} | {rule.title} | {_cell(rule.why)} | {_cell(rule.fix)} |")
    return "\n".join(rows) + "\n"


def _types() -> str:
    kinds = list(dict.fromkeys(t for types in PROFILE_TYPES.values() for t in types))
    rows = ["| Language | " + " | ".join(kinds) + " |", "|---|" + "---|" * len(kinds)]
    for language, types in PROFILE_TYPES.items():
        rows.append(f"| {language} | " + " | ".join("yes" if t in types else "" for t in kinds) + " |")
    return "\n".join(rows) + "\n"


def _fields(kind: str) -> str:
    document = schema(kind, narrowed=False)
    walked = _settings_fields() if kind == "settings" else _walk(document, document["definitions"], "", ...)
    rows = ["| Field | Type | Default | Meaning |", "|---|---|---|---|"]
    for path, field, default in walked:
        rows.append(f"| `{path}` | {_type(field)} | {default} | {_cell(field.get('description', ''))} |")
    return "\n".join(rows) + "\n"


def _walk(
    node: dict[str, Any], definitions: dict[str, Any], below: str, given: Any
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every field with its path and its default in words; of a union, the fields of every member.

    ``given`` is the default of the map that holds them: its values, None if the map may be absent, ... if it may not.
    """
    for name, written in node["properties"].items():
        field = {**_target(written, definitions), **written}
        path = f"{below}{name}"
        required = name in node.get("required", ())
        default = given[name] if isinstance(given, dict) and name in given else field.get("default")
        if path.startswith("spec.defaults."):
            yield path, {**field, "type": "object"}, ""  # as in service.yaml, where its fields are explained
        elif "properties" in field:
            yield from _walk(_with_members(field, definitions), definitions, f"{path}.", ... if required else default)
        elif default is not None:
            yield path, field, f"`{json.dumps(default)}`"
        else:
            word = "**required**" if given is ... else f"required with `{below[:-1]}`"
            yield path, field, word if required else ""


def _with_members(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A map with the fields that the members of its union add."""
    fields = dict(field["properties"])
    for rule in field.get("allOf", ()):
        fields = {**_target(rule.get("then", {}), definitions).get("properties", {}), **fields}
    return {**field, "properties": dict(sorted(fields.items(), key=lambda item: item[0] not in field["properties"]))}


def _target(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The definition that a node refers to, or the node itself."""
    reference = node.get("$ref") or next((part["$ref"] for part in node.get("allOf", ()) if "$ref" in part), None)
    return definitions[reference.rpartition("/")[2]] if reference else node


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return "list of " + _type(field["items"])
    if field.get("type") == "object":
        return "map"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true, false"}
    low, high = field.get("minimum"), field.get("maximum")
    ends = f", {low} to {high}" if low is not None and high is not None else ""
    more = ", more than 0" if field.get("exclusiveMinimum") == 0 else ""
    return names.get(field.get("type", ""), "") + ends + more


def _cell(text: str) -> str:
    """Text for a table: a bar would end the cell, and < outside of code would start HTML."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))
