"""Rules about services in relation to their folders, their team and each other."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from flameplane.catalog.check import Checked
from flameplane.catalog.report import Report
from flameplane.catalog.tree import Node
from flameplane.findings import Location
from schemas.allowed import NAMESPACES
from schemas.base import NAME
from schemas.service import Service
from schemas.team import Organisation, Team

# Names that something of the platform has already; what a team or service of that name would collide with.
RESERVED_TEAMS: Final = {
    "organisation": "stands for the organisation in the names of objects",  # ConfigMap catalog-<team>
    "prometheus": "is the platform's own data source in Grafana",  # uid flameplane-<team>
}
_TEAM_ENDINGS: Final = {
    "-longterm": "is the tenant for the hourly profiles of a team",
    "-traces": "is the data source for the traces of a team",  # uid flameplane-<team>-traces
}
RESERVED_SERVICES: Final = {
    "team": "stands for the team itself among the documents of its services",  # key team.yaml of catalog-<team>
    "anchor": "is a binding of the platform's own",  # flameplane-inject-<service>
}


class Folders(NamedTuple):
    """Where a service lies; ``misnamed`` is the name in _team.yaml, if the team's folder has another."""

    team: str
    service: str
    misnamed: str | None = None


def team_agrees(team: Team, tree: Node, folder: str, report: Report) -> bool:
    """Whether the team's name is that of its folder; names that are taken are told as well."""
    at = tree.nearest(("metadata", "name")).where
    if team.name != folder:
        _differ("name", team.name, folder, at, report)
        return False
    if team.name in RESERVED_TEAMS:
        report.add("049", f"{team.name} {RESERVED_TEAMS[team.name]}", at)
    for ending, what in _TEAM_ENDINGS.items():
        if team.name.endswith(ending):
            report.add("049", f"{team.name} {what} {team.name.removesuffix(ending)}", at)
    return True


def _differ(key: str, name: str, folder: str, at: Location, report: Report) -> None:
    """Report a name that is not its folder's; where the folder's is no name at all, the folder is to be renamed."""
    named = re.fullmatch(NAME, folder)
    report.add(
        "041",
        f"metadata.{key} is {name}, the folder is {folder}",
        at,
        valid=(folder,) if named else (),
        fix=f"Write {folder}" if named else f"Rename the folder to {name}",
    )


def service_agrees(
    checked: Checked[Service], tree: Node, folders: Folders, organisation: Organisation, report: Report
) -> bool:
    """The service's name, team, repository host and namespace, as far as they are known.

    Returns whether name and team are those of the folders: what lies elsewhere than it says is held against no other.
    """
    service, knows = checked.model, checked.knows
    if service is None:
        return False
    agrees = folders.misnamed is None
    for key, folder, name in (("team", folders.team, service.team), ("name", folders.service, service.name)):
        if name == folder or not knows("metadata", key):
            continue
        agrees = False
        if not (key == "team" and name == folders.misnamed):  # the same mistake, told at _team.yaml
            _differ(key, name, folder, tree.nearest(("metadata", key)).where, report)
    if agrees and service.name in RESERVED_SERVICES:
        at = tree.nearest(("metadata", "name")).where
        report.add("049", f"{service.name} {RESERVED_SERVICES[service.name]}", at)
    spec = organisation.spec
    host = service.metadata.repository.removeprefix("https://").split("/")[0].split(":")[0]
    if host not in spec.repository_hosts and knows("metadata", "repository"):
        at = tree.nearest(("metadata", "repository")).where
        message = f"the repository is on {host}; the organisation's hosts are {', '.join(spec.repository_hosts)}"
        report.add("044", message, at, valid=tuple(spec.repository_hosts))
    namespace, at = service.spec.workload.namespace, tree.nearest(("spec", "workload", "namespace")).where
    if not knows("spec", "workload", "namespace"):
        return agrees
    if namespace in NAMESPACES or namespace.startswith("kube-"):
        holder = "the platform's own" if namespace in NAMESPACES else "one of Kubernetes"
        report.add("047", f"the namespace {namespace} is {holder}", at)
    elif namespace in spec.excluded_namespaces:
        report.add("048", f"the organisation never samples the namespace {namespace}", at)
    return agrees


def apart(services: Iterable[tuple[Service, Node]], report: Report) -> None:
    """No two services share a name or claim the same pods; the later file of two is at fault."""
    names: dict[str, Location] = {}
    claims: dict[str, list[tuple[set[tuple[str, str]], str, Location]]] = {}
    for service, tree in services:
        at = tree.nearest(("metadata", "name")).where
        if first := names.get(service.name):
            report.add("042", f"the service name {service.name} is taken by {first.file}", at, related=(first,))
            continue
        names[service.name] = at
        workload = service.spec.workload
        selector = set(workload.selector.items())
        at = tree.nearest(("spec", "workload", "selector")).where
        others = claims.setdefault(workload.namespace, [])
        for other, owner, first in others:
            if selector <= other or other <= selector:
                how = (
                    "the same pods as"
                    if selector == other
                    else "pods that belong to"
                    if selector > other
                    else "all pods of"
                )
                message = f"the selector claims {how} the service {owner} ({first})"
                report.add("043", message, at, related=(first,))
                break
        others.append((selector, service.name, at))
