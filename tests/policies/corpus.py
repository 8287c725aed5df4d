"""The fixtures of the rules: fixtures/<rule>/{fire,dont-fire}/<what>.yaml, each a small set of manifests.

The first line of a `fire` file is `# expect: <part of the message>`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format, struct_pb2
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import unknown_checking_proxy

from policies.rule import Manifest

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

    def manifests(self) -> list[dict[str, Any]]:
        return [m for m in yaml.safe_load_all(self.path.read_text()) if m]

    def __str__(self) -> str:
        return "/".join(self.path.parts[-3:]).removesuffix(".yaml")


def fixtures(*, fires: bool) -> list[Fixture]:
    return [f for path in sorted(FOLDER.glob("*/*/*.yaml")) if (f := Fixture(path)).fires == fires]


def over_the_wire(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The manifests as a policy gets them: doubles for numbers, and proxies that raise on unknown values."""
    found: list[Manifest] = []
    for manifest in manifests:
        struct = struct_pb2.Struct()
        struct.update(manifest)
        found.append(unknown_checking_proxy(deserialize_properties(json_format.MessageToDict(struct))))
    return found
