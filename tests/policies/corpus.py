"""The fixtures of the rules: fixtures/<rule>/{fire,dont-fire}/<what>.yaml, each a small set of manifests.

The first line of a `fire` file is `# expect: <part of the message>`. A fixture with `base: prod` is a change of what
prod really declares (changes.py): for rules that judge many resources together, and bad changes that must never pass.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from changes import Manifests, changed
from google.protobuf import json_format
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import unknown_checking_proxy

from flameplane.plan import Recording, Resource, record
from flameplane.plan.evaluate import sent
from flameplane.plan.values import to_struct
from policies import resources
from policies.rule import Manifest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/plan"))
from variants import Project  # noqa: E402

FOLDER = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Fixture:
    """One file."""

    path: Path

    @property
    def rule(self) -> str:
        return self.path.parts[-3]

    @property
    def fires(self) -> bool:
        return self.path.parts[-2] == "fire"

    @property
    def expected(self) -> str:
        first = self.path.read_text().splitlines()[0]
        assert first.startswith("# expect: "), f"{self.path}: the first line must be `# expect: <part of the message>`"
        return first.removeprefix("# expect: ").strip()

    @cached_property
    def documents(self) -> Manifests:
        return [m for m in yaml.safe_load_all(self.path.read_text()) if m]

    @property
    def of_prod(self) -> dict[str, Any] | None:
        """The description of the change, if this is one of prod."""
        first = self.documents[0]
        return first if "base" in first else None

    def manifests(self) -> Manifests:
        return changed(declared("prod"), self.of_prod["change"]) if self.of_prod else self.documents

    def __str__(self) -> str:
        return "/".join(self.path.parts[-3:]).removesuffix(".yaml")


def fixtures(*, fires: bool) -> list[Fixture]:
    return [f for path in sorted(FOLDER.glob("*/*/*.yaml")) if (f := Fixture(path)).fires == fires]


@cache
def recorded(stack: str) -> Recording:
    """An environment as it is declared, with every image locked."""
    with TemporaryDirectory() as scratch:
        return record(Project(ROOT, Path(scratch), locked=True).folder, stack)


@cache
def declared(stack: str) -> tuple[dict[str, Any], ...]:
    """What rules see of an environment, its settings included."""
    recording = recorded(stack)
    found = [
        m
        for r in recording.resources
        if r.custom and (m := resources.manifest(r.type, r.name, r.inputs, protect=r.protect)) is not None
    ]
    found += [m for r in recording.resources if (m := about(r)) is not None]
    settings = resources.settings(stack, recording.config)
    return tuple(dict(m) for m in (*found, settings) if m)


def about(resource: Resource) -> Manifest | None:
    """What Pulumi knows of a resource beside its inputs."""
    options = {
        "protect": resource.protect,
        "ignoreChanges": [*resource.ignore_changes],
        "aliases": [*resource.aliases],
        "deleteBeforeReplace": bool(resource.delete_before_replace),
        "customTimeouts": bool(resource.custom_timeouts),
    }
    return resources.resource(resource.urn, sent(resource), options, resource.provider)


def over_the_wire(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The manifests as a policy gets them: doubles for numbers, and proxies that raise on unknown values."""
    found: list[Manifest] = []
    for manifest in manifests:
        wired = unknown_checking_proxy(deserialize_properties(json_format.MessageToDict(to_struct(manifest))))
        found.append(manifest if manifest.get("kind") == resources.SETTINGS else wired)
    return found
