"""The platform as a package: its schema, that it makes what the program makes, and that it refuses what is wrong.

The provider is a real process on its real protocol, and what it registers is recorded as the program's is. That an
engine finds the package, and what other languages make of its schema, only the engine can show.
"""

import json
import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import grpc
import pytest
import yaml
from component_provider import TYPE, provider
from pydantic import BaseModel

from flameplane.plan import record
from flameplane_provider.arguments import plain, typed_dict
from schemas.settings import Settings

EXAMPLE = "examples/yaml/Pulumi.yaml"
STACKS = ("local", "prod")


def settings_of(root: Path, stack: str) -> dict[str, Any]:
    """The settings of an environment, as a YAML program would write them."""
    config = yaml.safe_load((root / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key.removeprefix("flameplane:"): v for key, v in config.items() if key.startswith("flameplane:")}


def inputs(root: Path, stack: str) -> dict[str, Any]:
    """Arguments that give the same as the program."""
    return {
        "servicesFolder": str(root / "services"),
        "imagesLock": str(root / "images.lock"),
        "settings": settings_of(root, stack),
    }


@pytest.fixture(scope="module")
def schema(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the provider says about itself."""
    with provider(root, tmp_path_factory.mktemp("elsewhere"), "local") as running:
        found: dict[str, Any] = json.loads(running.schema())
    return found


def test_schema(schema: dict[str, Any]) -> None:
    assert schema["name"] == "flameplane"
    assert list(schema["resources"]) == [TYPE]
    platform = schema["resources"][TYPE]
    assert platform["isComponent"]
    assert set(platform["inputProperties"]) == {"servicesFolder", "imagesLock", "settings", "kubeconfig"}
    assert set(platform["requiredInputs"]) == {"servicesFolder", "imagesLock", "settings"}


def test_schema_and_settings_agree(schema: dict[str, Any]) -> None:
    """Every setting is in the package under the same name, of the same type, required where the model requires it."""
    compared = 0

    def agree(model: type[BaseModel], published: Mapping[str, Any]) -> None:
        nonlocal compared
        names = {field.alias or key: key for key, field in model.model_fields.items()}
        assert set(published["properties"]) == set(names), model
        required = {alias for alias, key in names.items() if model.model_fields[key].is_required()}
        assert set(published.get("required", [])) == required, model
        for alias, key in names.items():
            compared += 1
            found, kind = published["properties"][alias], plain(model.model_fields[key].annotation)
            if "$ref" in found and found["$ref"].startswith("#/types/"):
                nested = found["$ref"].rpartition(":")[2]
                assert nested == kind.__name__
                agree(_model(model, key), schema["types"][f"flameplane:index:{nested}"])
            elif isinstance(kind, type):
                words = {str: "string", int: "integer", float: "number", bool: "boolean"}
                assert found.get("type") == words.get(kind, found.get("type")), (model, key)

    agree(Settings, schema["types"]["flameplane:index:Settings"])
    assert compared > 50


def _model(model: type[BaseModel], key: str) -> type[BaseModel]:
    """The model behind a field."""
    text = [model.model_fields[key].annotation]
    while text:
        kind = text.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        text += getattr(kind, "__args__", ())
    raise AssertionError((model, key))


@pytest.mark.parametrize("stack", STACKS)
def test_makes_what_the_program_makes(root: Path, tmp_path: Path, stack: str) -> None:
    """Every resource with the same inputs, options and parents; the stack itself is the engine's."""
    program = {r.urn: r for r in record(root, stack).resources if r.type != "pulumi:pulumi:Stack"}
    with provider(root, tmp_path, stack) as running:
        made = {r.urn: r for r in running.construct(inputs(root, stack))}
    assert made.keys() == program.keys()
    for urn, resource in program.items():
        top = resource.type == TYPE
        ours = replace(made[urn], source=resource.source, parent=resource.parent if top else made[urn].parent)
        assert ours == resource, urn
    assert len(made) > 50


def test_example(root: Path, tmp_path: Path) -> None:
    """The YAML example names what exists, and its arguments are taken."""
    document = yaml.safe_load((root / EXAMPLE).read_text())
    folder = (root / EXAMPLE).parent
    assert (folder / document["packages"]["flameplane"] / "PulumiPlugin.yaml").is_file()
    (platform,) = document["resources"].values()
    assert f"{platform['type'].partition(':')[0]}:index:{platform['type'].rpartition(':')[2]}" == TYPE
    given = json.loads(json.dumps(platform["properties"]).replace("${pulumi.cwd}", str(folder)))
    assert not re.search(r"\$\{", json.dumps(given))
    with provider(root, tmp_path, "local") as running:
        kinds = {r.type for r in running.construct(given)}
    assert "kubernetes:apps/v1:DaemonSet" in kinds


WRONG = {
    "of another form": (("settings", "cluster", "apiServer"), "the-api", "settings.cluster.apiServer"),
    "out of a closed list": (("settings", "environment"), "produktion", "settings.environment"),
    "no folder": (("servicesFolder",), "/nowhere/services", "there is no folder"),
    "no lock": (("imagesLock",), "/nowhere/images.lock", "/nowhere/images.lock cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_register_nothing(root: Path, tmp_path: Path, case: str) -> None:
    """One message that names the argument; nothing was registered before it."""
    path, value, expected = WRONG[case]
    given = inputs(root, "local")
    target = given
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with provider(root, tmp_path, "local") as running, pytest.raises(grpc.RpcError) as refused:
        running.construct(given)
    assert expected in refused.value.details()


def test_grants_lie_beside_the_services(root: Path, tmp_path: Path) -> None:
    """They are applied as the program applies them; one that is wrong is told by its place."""
    project = tmp_path / "declared"
    shutil.copytree(root / "services", project / "services")
    shutil.copytree(Path(__file__).parent / "golden_exports" / "exports", project / "exports")
    given = inputs(root, "local") | {"servicesFolder": str(project / "services")}
    with provider(root, tmp_path, "local") as running:
        made = {r.name: r for r in running.construct(given) if r.type.endswith(":ConfigMap")}
    grants = {file.name for file in (project / "exports").iterdir()}
    assert set(made["flameplane-access/grants"].inputs["data"]) == grants
    wrong = next((project / "exports").iterdir())
    wrong.write_text(wrong.read_text().replace("format: ", "form: "))
    with provider(root, tmp_path, "local") as running, pytest.raises(grpc.RpcError) as refused:
        running.construct(given)
    assert f"exports/{wrong.name}" in refused.value.details()
    assert "EXP020" in refused.value.details()


def test_types_that_pulumi_cannot_infer() -> None:
    """Closed lists, choices and optional values become what Pulumi's inference takes; a name is used once."""
    assert plain(Literal["a", "b"]) is str
    assert plain(int | None) is int
    assert plain(dict[str, list[str]] | None) == dict[str, list[str]]

    class Cluster(BaseModel):
        """Another model of a name that is taken."""

    typed_dict(Settings)
    with pytest.raises(TypeError, match="two models are called Cluster"):
        typed_dict(Cluster)


def test_a_wheel_carries_what_policies_read(root: Path) -> None:
    """Reviewed texts lie beside the code that reads them, and setuptools takes no file that is not named."""
    data = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    named = {
        file for package, globs in data.items() for g in globs for file in (root / package.replace(".", "/")).glob(g)
    }
    files = [file for file in (root / "schemas/reviewed").rglob("*") if file.is_file()]
    there = {file for file in files if file.suffix not in (".py", ".pyc")}
    assert there and there <= named
