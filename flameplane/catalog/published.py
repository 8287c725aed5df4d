"""The published JSON Schemas, draft-07: what editors and other tools check declared files with.

pydantic generates draft 2020-12; yaml-language-server reads draft-07 and below. So ``$defs`` become ``definitions``, a
reference never has siblings (draft-07 ignores those), a union is told apart by if/then on its ``name`` (an error then
speaks of the one member that was meant), and null is gone (the strict reader refuses keys without a value).
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from flameplane.catalog import editor
from schemas.allowed import INJECTED_LANGUAGES, PROFILE_TYPES
from schemas.base import FORMS
from schemas.grant import Grant
from schemas.service import Service
from schemas.settings import Settings
from schemas.team import Organisation, Team

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
VERSION: Final = "v1"
KINDS: Final[Mapping[str, type[BaseModel]]] = {
    "service": Service,
    "team": Team,
    "organisation": Organisation,
    "settings": Settings,
    "grant": Grant,
}
VERSIONED: Final = ("service", "team", "organisation", "grant")
_TITLES: Final = {
    "service": "Flameplane service.yaml, version 1",
    "team": "Flameplane _team.yaml, version 1",
    "organisation": "Flameplane _org.yaml, version 1",
    "grant": "Flameplane exports/<id>.yaml, version 1",
    "settings": "Flameplane stacks/Pulumi.<environment>.yaml",
}


def file_name(kind: str) -> str:
    """Name of the schema's file below schemas/. Settings have no version: they are part of this program."""
    return f"{kind}.{VERSION}.schema.json" if kind in VERSIONED else f"{kind}.schema.json"


def generate(kind: str) -> str:
    """The schema of a kind of file, as it is published."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def schema(kind: str, narrowed: bool = True) -> dict[str, Any]:
    """The schema of a kind of file; ``narrowed``: a language's types alone are valid, and offered, for its services."""
    model = KINDS[kind]
    raw = model.model_json_schema(by_alias=True, ref_template="#/definitions/{model}")
    definitions = {name: _clean(definition) for name, definition in sorted(raw.pop("$defs", {}).items())}
    body = _clean(raw)
    _describe([body, definitions], definitions)
    head: dict[str, Any] = {"$schema": DRAFT, "$id": f"https://flameplane.dev/schemas/{file_name(kind)}"}
    head["title"] = _TITLES[kind]
    if kind == "settings":
        body = _stack_file(body)
    if kind == "service":
        definitions["ServiceSpec"]["allOf"] = _types_by_language(definitions["Profiling"], narrowed)
    editor.explain_unions([body, definitions], definitions)
    editor.add_snippets([body, definitions], definitions)
    if kind in VERSIONED:
        words = f"Everything that a {kind} has to say"
        body["defaultSnippets"] = [{"label": kind, "description": words, "body": editor.snippet(body, definitions)}]
    return {**head, **body, "definitions": definitions}


def _clean(node: Any) -> Any:
    """One part of pydantic's schema in draft-07."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node:
        return _union(node)
    node = _without_null(dict(node))
    node.pop("title", None)  # a model's name, which editors would show to people who have never heard of it
    if "patternProperties" in node:  # keys of a map; pydantic lets those through that do not match
        ((pattern, values),) = node.pop("patternProperties").items()
        node |= {"propertyNames": {"type": "string", "pattern": pattern}, "additionalProperties": values}
    if "properties" in node:
        node["properties"] = {key: _property(value) for key, value in node["properties"].items()}
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if keyword in node:
            node[keyword] = _clean(node[keyword])
    if node.get("pattern") in FORMS:
        node["patternErrorMessage"] = f"Has to be {FORMS[node['pattern']]}."  # read by yaml-language-server
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
        node["markdownDescription"] = node["description"]
    reference = node.pop("$ref", None)
    if reference is None:
        return node
    return {**node, "allOf": [{"$ref": reference}]} if node else {"$ref": reference}


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """``X | None`` as plain X, and no default that says null."""
    if "anyOf" in node:
        (only,) = (member for member in node.pop("anyOf") if member != {"type": "null"})
        node = {**only, **node}
    if "default" in node:
        node["default"] = _whole_numbers(node["default"])
        if node["default"] is None:
            del node["default"]
    return node


def _property(node: dict[str, Any]) -> dict[str, Any]:
    """A property."""
    return _clean(node)  # type: ignore[no-any-return]


def _whole_numbers(value: Any) -> Any:
    """A default as people write it: 40 instead of 40.0."""
    if isinstance(value, dict):
        return {key: _whole_numbers(below) for key, below in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _describe(node: Any, definitions: Mapping[str, Any]) -> None:
    """Say again what a property refers to, where pydantic left the words to the definition."""
    if isinstance(node, dict):
        for value in node.values():
            _describe(value, definitions)
        if "default" in node and "allOf" in node and "description" not in node:
            target = definitions[node["allOf"][0]["$ref"].rpartition("/")[2]]
            node |= {key: target[key] for key in ("description", "markdownDescription")}
    elif isinstance(node, list):
        for item in node:
            _describe(item, definitions)


def _union(node: dict[str, Any]) -> dict[str, Any]:
    """A discriminated union: the names that there are, and for each of them the one schema that counts."""
    discriminator = node.pop("discriminator")
    order = [member["$ref"] for member in node.pop("oneOf")]
    key = discriminator["propertyName"]
    mapping = dict(sorted(discriminator["mapping"].items(), key=lambda item: order.index(item[1])))
    return {
        **_clean(node),
        "type": "object",
        "required": [key],
        "properties": {key: _clean({"type": "string", "enum": list(mapping), "description": node["description"]})},
        "allOf": [_if({key: {"const": name}}, {"$ref": reference}) for name, reference in mapping.items()],
    }


def _if(properties: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"required": list(properties), "properties": properties}, "then": then}


def _types_by_language(profiling: dict[str, Any], narrowed: bool) -> list[dict[str, Any]]:
    """What `ServiceSpec` checks across fields, as far as draft-07 can say it.

    Narrowed, the list of all types goes: else an editor offers them all, and tells a wrong one twice.
    """
    entries = profiling["properties"]["types"]["items"]
    meanings = dict(zip(entries["enum"], entries["markdownEnumDescriptions"], strict=True))
    if narrowed:
        del entries["enum"], entries["markdownEnumDescriptions"]
    rules = []
    for language, types in PROFILE_TYPES.items():
        described = {"enum": list(types), "markdownEnumDescriptions": [meanings[t] for t in types]}
        chosen_types: dict[str, Any] = {"types": {"items": described}}
        if language not in INJECTED_LANGUAGES:
            chosen_types["cpuSource"] = {"const": "ebpf"}
        chosen = {"language": {"type": "object", "required": ["name"], "properties": {"name": {"const": language}}}}
        rules.append(_if(chosen, {"properties": {"profiling": {"properties": chosen_types}}}))
    return rules


def _stack_file(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as Pulumi keeps them: below ``config``, each key with the project's name in front."""
    properties = {f"flameplane:{key}": value for key, value in settings["properties"].items()}
    properties["pulumi:disable-default-providers"] = {
        "type": "array",
        "items": {"type": "string"},
        "contains": {"const": "kubernetes"},
        "description": "Has to name kubernetes, and aws where there is a cloud account: default providers would use "
        "the current kubectl context or AWS profile.",
    }
    required = [f"flameplane:{key}" for key in settings["required"]]
    config = {
        "type": "object",
        "properties": properties,
        "patternProperties": {"^pulumi:": {}},
        "additionalProperties": False,
        "required": [*required, "pulumi:disable-default-providers"],
        "if": {"required": ["flameplane:cloud"]},
        "then": {"properties": {"pulumi:disable-default-providers": {"contains": {"const": "aws"}}}},
    }
    own = {"type": "string", "description": "Written by Pulumi."}
    names = ("secretsprovider", "encryptionsalt", "encryptedkey")
    return {
        "type": "object",
        "description": settings["description"],
        "markdownDescription": settings["markdownDescription"],
        "properties": {"config": config, **dict.fromkeys(names, own)},
        "additionalProperties": False,
        "required": ["config"],
    }
