"""What only editors read in the published schemas: snippets, and the meaning of each value of a closed list.

Keywords of yaml-language-server and VS Code; validators ignore them.
"""

import json
import re
from collections.abc import Mapping
from itertools import count
from typing import Any

_QUOTED = re.compile(r"[#@]|[0-9-]{10}T|.*: ")  # what YAML would read as something else than this text
_SPECIAL, _ESCAPED = re.compile(r"([\\$}])"), r"\\\1"  # what ends or starts a place to type at


def explain_unions(node: Any, definitions: dict[str, Any]) -> None:
    """Give the names of a union's members the members' descriptions.

    The members lose their type, which the union has already: a map that is not yet there would be told once for each.
    """
    if isinstance(node, dict):
        members = [part.get("then", {}).get("$ref") for part in node.get("allOf", ())]
        if members and all(members):
            targets = [definitions[reference.rpartition("/")[2]] for reference in members]
            (key,) = node["required"]
            node["properties"][key]["markdownEnumDescriptions"] = [target["description"] for target in targets]
            for target in targets:
                target.pop("type", None)
        for value in node.values():
            explain_unions(value, definitions)
    elif isinstance(node, list):
        for item in node:
            explain_unions(item, definitions)


def add_snippets(node: Any, definitions: Mapping[str, Any]) -> None:
    """What an editor puts in for a map: the keys that have to be there, with examples to type over."""
    if isinstance(node, dict):
        for key, part in node.get("properties", {}).items():
            target = _target(part, definitions)
            if "$ref" not in part and "properties" in target and target.get("required"):
                part["defaultSnippets"] = [{"label": key, "body": snippet(target, definitions)}]
        for value in node.values():
            add_snippets(value, definitions)
    elif isinstance(node, list):
        for item in node:
            add_snippets(item, definitions)


def snippet(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A body for ``defaultSnippets``: its places to type at are numbered from 1."""
    numbers = count(1)

    def body(node: Mapping[str, Any]) -> Any:
        node = _target(node, definitions)
        if "const" in node:
            return node["const"]
        if "properties" in node:
            return {key: body(node["properties"][key]) for key in node.get("required", ())}
        if "enum" in node:
            return f"${{{next(numbers)}|{','.join(map(str, node['enum']))}|}}"
        example = (node.get("examples") or [""])[0]
        if isinstance(example, str):
            quoted = json.dumps(example) if _QUOTED.match(example) else example
            return f"${{{next(numbers)}:{_SPECIAL.sub(_ESCAPED, quoted)}}}"
        return example

    return body(node)


def _target(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition that a node refers to, or the node itself."""
    reference = node.get("$ref") or next((part["$ref"] for part in node.get("allOf", ()) if "$ref" in part), None)
    return definitions[reference.rpartition("/")[2]] if reference else node
