"""What changed in the objects that the program declares: by URN, with team, layer and every field."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from flameplane.catalog.tree import Path
from flameplane.plan.manifests import manifest
from flameplane.plan.recording import Recording, Resource
from flameplane.plan.summary import layer_of
from flameplane.review.fields import FieldChange, compare
from schemas.catalog import Catalog

State = Literal["added", "changed", "removed"]
SHARED: Final = ""  # the team of what belongs to the platform as a whole
_LONGTERM: Final = "-longterm"
_PER_TEAM: Final = "catalog-"  # of the names of ConfigMaps that there is one of per team


@dataclass(frozen=True)
class ObjectChange:
    """One resource. ``before`` and ``after`` are its inputs; ``fields`` is empty unless it is ``changed``."""

    state: State
    kind: str  # Kubernetes kind, or the type of a cloud resource
    title: str
    layer: str
    team: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    fields: tuple[FieldChange, ...] = ()


def object_changes(before: Recording, after: Recording, catalog: Catalog | None) -> list[ObjectChange]:
    """Added, changed and removed objects by layer and title; providers and components are none."""
    owners = _owners(catalog)
    old, new = ({r.urn: r for r in side.resources if _is_object(r)} for side in (before, after))
    found = []
    for urn in old.keys() | new.keys():
        one, two = old.get(urn), new.get(urn)
        if one and two:
            fields = (*compare(_content(one), _content(two)), *_options(one, two))
            if fields:
                found.append(_change("changed", two, after, one, two, fields, owners))
        elif two:
            found.append(_change("added", two, after, None, two, (), owners))
        elif one:
            found.append(_change("removed", one, before, one, None, (), owners))
    return sorted(found, key=lambda c: (c.layer, c.title, c.state))


def _change(  # noqa: PLR0917 - one call, three times
    state: State,
    shown: Resource,
    recording: Recording,
    before: Resource | None,
    after: Resource | None,
    fields: tuple[FieldChange, ...],
    owners: Mapping[str, str],
) -> ObjectChange:
    content = _content(shown)
    return ObjectChange(
        state,
        str(content.get("kind", shown.type)),
        _title(shown, content),
        layer_of(recording, shown),
        _team(content, fields, owners),
        _content(before) if before else None,
        _content(after) if after else None,
        fields,
    )


def _is_object(resource: Resource) -> bool:
    return resource.custom and not resource.type.startswith("pulumi:")


def _content(resource: Resource) -> dict[str, Any]:
    return manifest(resource) or resource.inputs


def _title(resource: Resource, content: Mapping[str, Any]) -> str:
    """``ConfigMap flameplane-system/catalog``, or type and name of a cloud resource."""
    if "kind" not in content:
        return f"{resource.type} {resource.name}"
    metadata = content.get("metadata") or {}
    namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{content['kind']} {namespace}{metadata.get('name', '')}"


def _options(before: Resource, after: Resource) -> Iterator[FieldChange]:
    """Options that decide what an apply may destroy."""
    for name in ("protect", "retain_on_delete"):
        one, two = getattr(before, name), getattr(after, name)
        if one != two:
            yield FieldChange((f"({name})",), one, two)


def _owners(catalog: Catalog | None) -> dict[str, str]:
    """Team by every name that stands for one in shared objects: services, teams, tenants, files named after them."""
    if catalog is None:
        return {}
    owners = {service.name: service.team for service in catalog.services}
    for team in catalog.teams:
        owners |= {team.name: team.name, team.name + _LONGTERM: team.name}
    return owners


def _team(content: Mapping[str, Any], fields: tuple[FieldChange, ...], owners: Mapping[str, str]) -> str:
    """The label's team; of a shared object the one team that all of its changed fields belong to."""
    metadata = content.get("metadata")
    labels = (metadata.get("labels") or {}) if isinstance(metadata, Mapping) else {}
    if team := labels.get("flameplane.dev/team"):
        return str(team)
    name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
    if name.startswith(_PER_TEAM) and (owner := owners.get(name.removeprefix(_PER_TEAM))):
        return owner
    teams = {_team_of(change.path, owners) for change in fields}
    return teams.pop() if len(teams) == 1 else SHARED


def _team_of(path: Path, owners: Mapping[str, str]) -> str:
    for step in path:
        name = str(step).removesuffix(".yaml")
        if name in owners:
            return owners[name]
    return SHARED
