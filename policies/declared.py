"""The declarations that reach the pack: ConfigMaps `catalog-<team>` and `catalog-organisation` of flameplane-system.

They hold the effective documents, after inheritance: what the rules judge is what the platform runs by.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policies.objects import at, documents, items, name, namespace
from policies.rule import Manifest
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, SYSTEM_NAMESPACE

NODE_SERVICES: Final = "node-services"
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


def gone(manifests: Sequence[Manifest]) -> set[str]:
    """Teams that the gateway opens a tenant to and the agents are told about, and of which no declaration is left: rule
    FP011 says so, and whatever else follows from the declarations cannot agree with both."""
    declared = read(manifests)
    known = declared.teams.keys() | declared.by_team.keys() | {str(s.get("metadata.team")) for s in declared.services}
    left = set(told(manifests).values()) - known if known else set()
    return left & set(_opened(manifests)) if left else left


def _opened(manifests: Sequence[Manifest]) -> Iterator[str]:
    for manifest in manifests:
        if manifest.get("kind") == "ConfigMap" and namespace(manifest) == ACCESS_NAMESPACE:
            for document in documents(manifest).values():
                yield from (str(at(tenant, "tenant")) for tenant in items(at(document, "tenants")))


def told(manifests: Sequence[Manifest]) -> dict[str, str]:
    """The services that the agents are told about, and of which team each is."""
    for manifest in manifests:
        if namespace(manifest) == AGENT_NAMESPACE and name(manifest) == NODE_SERVICES:
            entries = items(at(documents(manifest).get("services.json"), "services"))
            return {str(at(entry, "service")): str(at(entry, "team")) for entry in entries}
    return {}


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
