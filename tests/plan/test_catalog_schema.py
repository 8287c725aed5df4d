"""The published JSON Schemas against the models.

Proves that the committed files are what the models generate, that a published version has not changed (digest), that
they are draft-07 as editors read it, and that jsonschema and pydantic accept and refuse the same declarations: on the
real files, on the broken corpus and on some thousand damaged documents. Cannot prove how an editor shows them.
"""

import copy
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from test_catalog_settings import NAMES, applied, project
from typer.testing import CliRunner

from flameplane.catalog import load_settings
from flameplane.catalog.check import check
from flameplane.catalog.published import KINDS, file_name, generate, schema
from flameplane.catalog.reference import PAGES, update
from flameplane.catalog.report import Report
from flameplane.catalog.rules import RULES
from flameplane.catalog.strict import parse
from flameplane.catalog.tree import Node
from flameplane.cli import app
from schemas.base import FORMS

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
# A version is published once and immutable. A change here is a change of what every editor and every checkout believes:
# after the first release it needs a v2, not a new digest.
DIGESTS = {
    "service": "28bd2ab826eb4e5a93e52975135266b4deea2396d41d4eb609fdc0e592f66751",
    "team": "b2bd9442084381ce0ff87f2f4221742695be4b7edd17a6719e146685e8a6c83d",
    "grant": "eb5ccd149d10ab158c03cde09f332720b4331425109b163e6f2533b235065565",
    "organisation": "cca7424d6493b55cb62595511723bc98ab7a0e78892281bfd1a081ea20334a9d",
}
# Rules over several values that draft-07 has no words for: pydantic alone knows them.
BEYOND_SCHEMA = {
    *("032", "033", "034", "035", "036", "037"),
    *(number for number in RULES if number > "060" and number != "062"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_committed_file_is_what_the_models_generate(kind: str) -> None:
    assert (PROJECT / "schemas" / file_name(kind)).read_text(encoding="utf-8") == generate(kind)


def test_reference_pages_are_what_models_rules_and_settings_generate() -> None:
    pages = {name: (PROJECT / name).read_text(encoding="utf-8") for name in PAGES}
    for name, page in pages.items():
        assert update(page, PROJECT) == page, f"{name}: run flameplane schema --write"
    page = pages["docs/service-yaml.md"]
    for number, rule in RULES.items():
        for kind in rule.kinds:
            assert f"{kind}{number}" in page


@pytest.mark.parametrize("kind", DIGESTS)
def test_published_version_is_immutable(kind: str) -> None:
    data = (PROJECT / "schemas" / file_name(kind)).read_bytes()
    assert hashlib.sha256(data).hexdigest() == DIGESTS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_is_draft_07_that_editors_can_use(kind: str) -> None:
    document = schema(kind)
    Draft7Validator.check_schema(document)
    assert document["$schema"] == "http://json-schema.org/draft-07/schema#"
    for node in parts(document):
        assert not {"$defs", "prefixItems", "unevaluatedProperties", "discriminator", "oneOf"} & set(node)
        assert "$ref" not in node or set(node) == {"$ref"}, "draft-07 ignores what stands beside $ref"
        assert node.get("type") != "null"
        if isinstance(node.get("pattern"), str):
            assert node["patternErrorMessage"] == f"Has to be {FORMS[node['pattern']]}."


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_explains_itself(kind: str) -> None:
    """Each property has a description, its own or that of what it refers to; scalars and lists have an example."""
    document = schema(kind)
    definitions = document["definitions"]
    described = 0
    for name, definition in definitions.items():
        assert definition["markdownDescription"] == definition["description"], name
        for key, field in definition["properties"].items():
            target = definitions[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
            assert target.get("markdownDescription") == target.get("description")
            if (
                "const" not in field
                and "enum" not in field
                and field.get("type") in ("string", "integer", "number", "array")
            ):
                assert field.get("examples"), f"{name}.{key}"
            assert target.get("description") or "const" in field or "allOf" in field, f"{name}.{key}"
            described += 1
    assert described > 10


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a schema, examples and defaults left out."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key not in ("examples", "default", "const"):
                yield from parts(value)
    elif isinstance(node, list):
        for item in node:
            yield from parts(item)


def kind_of(path: Path) -> str | None:
    return {"service.yaml": "service", "_team.yaml": "team", "_org.yaml": "organisation"}.get(path.name)


def by_model(kind: str, tree: Node) -> set[str]:
    """Rules that the file breaks by itself, without organisation and neighbours."""
    report = Report("SVC")
    check(KINDS[kind], tree, report)
    return {finding.id[3:] for finding in report.findings}


def declared() -> list[Path]:
    files = [*(PROJECT / "services").rglob("*.yaml"), *(HERE / "broken").rglob("*.yaml")]
    return sorted(file for file in files if kind_of(file))


def test_jsonschema_and_pydantic_agree_on_every_declared_file() -> None:
    accepted = refused = 0
    for file in declared():
        report = Report("SVC")
        tree = parse(file.read_bytes(), file.name, report)
        if tree is None or report.findings:
            continue  # refused as YAML: neither gets to see it
        kind = kind_of(file) or ""
        broken = by_model(kind, tree)
        valid = Draft7Validator(schema(kind)).is_valid(tree.data())
        assert valid == (not broken - BEYOND_SCHEMA), (file, broken)
        accepted, refused = accepted + valid, refused + (not valid)
    assert accepted > 20
    assert refused > 20


SPARES: list[Any] = [
    *(0, 1, 19, 99, 100, -1, 0.5, 19.5, True, False),
    *("", "x", "cpu", "Bad_Name", "#c", "java", "off", "a" * 41),
    *([], ["cpu"], ["cpu", "cpu"], ["alloc", "block"]),
    *({}, {"a": "b"}, {"name": "node"}, {"track": "blue"}),
]


def damaged(document: Any, chance: random.Random) -> Any:
    """A copy with one value replaced, one key gone, or one key more."""
    document = copy.deepcopy(document)
    holder = document
    while True:
        below = [
            v for v in (holder.values() if isinstance(holder, dict) else holder) if isinstance(v, dict | list) and v
        ]
        if not below or chance.random() < 0.3:
            break
        holder = chance.choice(below)
    key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    match chance.randint(0, 3):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[chance.choice(("extra", "types", "name", "mode", "track", "pprofPort"))] = chance.choice(SPARES)
        case _:
            holder[key] = chance.choice(SPARES)
    return document


@pytest.mark.parametrize("kind", ["service", "team", "organisation"])
def test_jsonschema_and_pydantic_agree_on_damaged_documents(kind: str) -> None:
    chance = random.Random(kind)
    files = [file for file in declared() if kind_of(file) == kind and PROJECT / "services" in file.parents]
    validator = Draft7Validator(schema(kind))
    accepted = refused = 0
    for _ in range(1500):
        whole = parse(chance.choice(files).read_bytes(), "file", Report("SVC"))
        assert whole
        document = damaged(whole.data(), chance)
        tree = parse(json.dumps(document).encode(), "file", Report("SVC"))
        if tree is None:
            continue
        broken = by_model(kind, tree)
        valid = validator.is_valid(document)
        assert valid == (not broken - BEYOND_SCHEMA), (document, broken)
        accepted, refused = accepted + valid, refused + (not valid)
    assert accepted > 100
    assert refused > 500


def test_jsonschema_and_pydantic_agree_on_settings(tmp_path: Path) -> None:
    """On the project's own files and on the broken ones that are YAML at all."""
    validator = Draft7Validator(schema("settings"))
    roots = [PROJECT]
    for name in NAMES:
        if not name.startswith(("yaml-", "file-")):
            roots.append(project(tmp_path / name))
            applied(name, roots[-1])
    seen = 0
    for root in roots:
        for file in sorted((root / "stacks").glob("Pulumi.*.yaml")):
            tree = parse(file.read_bytes(), file.name, Report("SET"))
            assert tree
            broken = {f.id[3:] for f in load_settings(root, file.name.split(".")[1]).findings}
            # A schema refuses an encrypted value, which is a map, and takes a token, which is text. What is in a
            # section that must not be there (071) is not told as well.
            if broken not in ({"060"}, {"071"}):
                assert validator.is_valid(tree.data()) == (not broken - BEYOND_SCHEMA), (file, broken)
            seen += 1
    assert seen > 100


def test_a_language_narrows_the_types_an_editor_offers() -> None:
    error = next(Draft7Validator(schema("service")).iter_errors(service("java", ["cpu", "block"])))
    assert error.message == "'block' is not one of ['cpu', 'alloc', 'mutex', 'wall', 'offcpu']"
    error = next(Draft7Validator(schema("service")).iter_errors(service("rust", ["cpu"])))
    assert error.message == "'rust' is not one of ['go', 'java', 'node', 'python', 'native']"


def service(language: str, types: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "flameplane.dev/v1",
        "kind": "Service",
        "metadata": {"name": "a", "team": "b", "repository": "https://git.example.com/acme/a"},
        "spec": {
            "language": {"name": language},
            "workload": {"namespace": "b", "selector": {"app": "a"}},
            "profiling": {"types": types},
        },
    }


def test_command_prints_compares_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner().invoke
    assert run(app, ["schema", "--kind", "team"]).output == generate("team")
    (tmp_path / "Pulumi.yaml").write_text("name: flameplane\n")
    (tmp_path / "schemas").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(app, ["schema", "--check"]).exit_code == 1
    assert run(app, ["schema", "--write"]).exit_code == 0
    assert run(app, ["schema", "--check"]).exit_code == 0
    assert sorted(p.name for p in (tmp_path / "schemas").iterdir()) == sorted(map(file_name, KINDS))
    assert run(app, ["schema", "--check", "--write"]).exit_code == 2
    assert run(app, ["schema", "--kind", "org"]).exit_code == 2
