"""The declarations that reach the pack: ConfigMaps `catalog-<team>` and `catalog-organisation` of flameplane-system.

They hold the effective documents, after inheritance: what the rules judge is what the platform runs by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policies.objects import at, documents, name, namespace
from policies.rule import Manifest
from schemas.allowed import SYSTEM_NAMESPACE

PREFIX: Final = "catalog-"
ORGANISATION: Final = "catalog-organisation"
TEAM_KEY: Final = "team.yaml"
LONGTERM: Final = "-longterm"  # suffix of the tenant that holds a team's downsampled profiles


@dataclass(frozen=True)
class Document:
    """One declaration and the object it came in."""

    kind: str  # service | team
    name: str
    body: Mapping[str, Any]
    manifest: Manifest

    def get(self, path: str) -> Any:
        """The value at a dotted path."""
        return at(self.body, *path.split("."))

    def declared(self, path: str) -> str:
        """How a violation names a value of this declaration."""
        return f"{self.kind}/{self.name} {path}"


@dataclass
class Declared:
    """All declarations of a stack."""

    teams: dict[str, Document] = field(default_factory=dict)
    services: list[Document] = field(default_factory=list)  # a name may wrongly stand twice
    by_team: dict[str, list[Document]] = field(default_factory=dict)  # by whose ConfigMap they are in
    organisation: Mapping[str, Any] = field(default_factory=dict)

    def limit(self, key: str) -> Any:
        """A floor or ceiling of the organisation; None when it has none."""
        return at(self.organisation, "spec", "limits", key)

    def of_team(self, team: str) -> list[Document]:
        """The services in a team's ConfigMap."""
        return self.by_team.get(team, [])


def read(manifests: Sequence[Manifest]) -> Declared:
    """Find the declarations among all manifests of a stack."""
    declared = Declared()
    for manifest in manifests:
        if (
            manifest.get("kind") != "ConfigMap"
            or namespace(manifest) != SYSTEM_NAMESPACE
            or not name(manifest).startswith(PREFIX)
        ):
            continue
        if name(manifest) == ORGANISATION:
            declared.organisation = documents(manifest).get("organisation.yaml") or {}
            continue
        team = name(manifest).removeprefix(PREFIX)
        for key, body in documents(manifest).items():
            if key == TEAM_KEY:
                declared.teams[team] = Document("team", team, body or {}, manifest)
            else:
                service = Document("service", key.removesuffix(".yaml"), body or {}, manifest)
                declared.services.append(service)
                declared.by_team.setdefault(team, []).append(service)
    return declared
