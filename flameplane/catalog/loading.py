"""Reads services/: organisation defaults, then team defaults, then the service; maps merge, lists are replaced."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from flameplane.catalog import files as layout
from flameplane.catalog import places, shape, undeclared
from flameplane.catalog.check import Checked, examine
from flameplane.catalog.limits import Limiter
from flameplane.catalog.report import Report
from flameplane.catalog.sources import Sources
from flameplane.catalog.strict import read
from flameplane.catalog.tree import Node, merge
from flameplane.findings import Finding, Location, in_order
from schemas.catalog import Catalog
from schemas.service import Service
from schemas.team import Defaults, Organisation, Team


@dataclass(frozen=True)
class Loaded:
    """The catalog, or None when there is an error; what is wrong; where every value came from."""

    catalog: Catalog | None
    findings: list[Finding]
    sources: Sources


def load(root: Path, services: Path | None = None) -> Loaded:
    """Everything below ``services`` (by default ``root/services``), checked and with inheritance applied."""
    return _Loader(root, services or root / "services").load()


class _Loader:
    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root.resolve(), folder.resolve()
        # A folder that was named on purpose may be a link to it; the project's own may not.
        self.named = folder.absolute() if folder == root / "services" else self.folder
        self.report = Report("SVC")
        self.sources = Sources()
        self.files = layout.Files()
        self.misnamed: dict[str, str] = {}  # team folders whose _team.yaml names another, and that name
        self.unsure = False  # whether a key above the services is not understood, which may have set any default
        self.in_place: list[tuple[Service, Node]] = []  # services whose names agree with their folders

    def load(self) -> Loaded:
        here = layout.relative(self.folder, self.root)
        if not self.folder.is_dir():
            self.report.add("052", f"there is no folder {here}", Location(here, 1, 1))
            return Loaded(None, self.report.findings, self.sources)
        if not layout.ordinary_folder(self.named, layout.relative(self.named, self.root), self.report):
            return Loaded(None, self.report.findings, self.sources)
        self.files = layout.collect(self.root, self.folder, self.report)
        organisation, organisation_tree = self._organisation(here)
        teams = list(self._teams(organisation, organisation_tree))
        services = list(self._services(organisation, organisation_tree))
        places.apart(self.in_place, self.report)
        if organisation and organisation_tree:
            by_folder = {**dict.fromkeys(self.files.teams), **{team.name: team for team in teams}}
            undeclared.nobodys_else(organisation, organisation_tree, by_folder, services, self.report)
        if not self.files.services and self.files.organisation:  # if _org.yaml is missing too, that comes first
            at = Location(f"{here}/{layout.ORGANISATION}", 1, 1)
            self.report.add("052", f"{here} declares no service", at, severity="warning")
        findings = in_order(self.report.findings)
        if organisation is None or any(f.severity == "error" for f in findings):
            return Loaded(None, findings, self.sources)
        catalog = Catalog(
            organisation,
            tuple(sorted(teams, key=lambda t: t.name)),
            tuple(sorted((service for service, _ in services), key=lambda s: s.name)),
        )
        return Loaded(catalog, findings, self.sources)

    def _organisation(self, here: str) -> tuple[Organisation | None, Node | None]:
        if self.files.organisation is None:
            name = f"{here}/{layout.ORGANISATION}"
            if (layout.ORGANISATION,) not in self.files.told:
                self.report.add("051", f"{name} is missing", Location(name, 1, 1))
            return None, None
        name = self.files.names[self.files.organisation]
        tree = read(self.files.organisation, name, self.report)
        if tree is None:
            return None, None
        checked = examine(Organisation, tree, self.report)
        self.unsure |= bool(checked.unsure)
        organisation = None if checked.guessed else checked.model
        if organisation:
            self.sources.add("organisation", organisation.metadata.name, name, checked.tree)
            self.limiter = Limiter(organisation, checked.tree, self.report, checked.knows)
        return organisation, checked.tree

    def _teams(self, organisation: Organisation | None, organisation_tree: Node | None) -> Iterator[Team]:
        self.team_trees: dict[str, Node] = {}
        for folder, path in self.files.teams.items():
            name = self.files.names[path]
            tree = read(path, name, self.report)
            if tree is None:
                continue
            checked = examine(Team, tree, self.report)
            self.team_trees[folder] = tree = checked.tree
            self.unsure |= bool(checked.unsure)
            if (team := checked.model) is None:
                continue
            if organisation:
                self.limiter.team(team, tree, checked.knows)
            if checked.guessed:
                continue
            if not places.team_agrees(team, tree, folder, self.report):
                self.misnamed[folder] = team.name
            self.sources.add("team", team.name, name, tree)
            yield team

    def _services(
        self, organisation: Organisation | None, organisation_tree: Node | None
    ) -> Iterator[tuple[Service, Node]]:
        told = {parts[0] for parts in self.files.told if parts[1:] == (layout.TEAM,)}
        for (team, folder), path in self.files.services.items():
            name = self.files.names[path]
            if team not in self.files.teams and team not in told:
                told.add(team)
                message = f"the team folder {team} has no {layout.TEAM}"
                self.report.add("045", message, Location(name, 1, 1), fix=f"Add services/{team}/{layout.TEAM}.")
            tree = read(path, name, self.report)
            if tree is None:
                continue
            tree = _inherit(tree, self.team_trees.get(team), organisation_tree)
            checked = examine(Service, tree, self.report, only=name)
            if (service := checked.model) is None:
                continue
            tree = checked.tree
            if organisation:
                self.limiter.service(service, tree, self._knows(checked))
                folders = places.Folders(team, folder, self.misnamed.get(team))
                agrees = places.service_agrees(checked, tree, folders, organisation, self.report)
                if agrees and not checked.guessed:
                    self.in_place.append((service, tree))
            if checked.guessed:
                continue
            self.sources.add("service", service.name, name, tree)
            yield service, tree

    def _knows(self, checked: Checked[Service]) -> Callable[..., bool]:
        """What is known of a service: no default, where a key that nobody understands may have set another one."""
        if not self.unsure:
            return checked.knows
        return lambda *path: checked.tree.find(path) is not None and checked.knows(*path)


def _inherit(service: Node, team: Node | None, organisation: Node | None) -> Node:
    """The service's tree with what team and organisation set as defaults; inherited nodes keep their own places."""
    spec = service.child("spec")
    if not (isinstance(service.value, dict) and spec and isinstance(spec.value, dict) and spec.value):
        return service
    sections = dict(spec.value)
    for section in shape.fields(Defaults):
        inherited: Node | None = None
        for level in (organisation, team):
            if (node := level.find(("spec", "defaults", section)) if level else None) and isinstance(node.value, dict):
                inherited = merge(inherited, node)
        if (effective := merge(inherited, sections.get(section))) is not None:
            sections[section] = effective
    top = {**service.value, "spec": replace(spec, value=sections)}
    metadata, slack = service.child("metadata"), team.find(("metadata", "slack")) if team else None
    if metadata and isinstance(metadata.value, dict) and metadata.value and slack:
        top["metadata"] = replace(metadata, value={"slack": slack, **metadata.value})
    return replace(service, value=top)
