"""Rules about services in relation to their folders, their team and each other."""

from collections.abc import Iterable

from flameplane.catalog.check import Checked
from flameplane.catalog.report import Report
from flameplane.catalog.tree import Node
from flameplane.findings import Location
from schemas.allowed import NAMESPACES
from schemas.service import Service
from schemas.team import Organisation, Team

LONGTERM = "-longterm"  # suffix of the tenant that holds a team's hourly profiles
ORGANISATION = "organisation"  # ConfigMap catalog-organisation lies beside catalog-<team>


def team_agrees(team: Team, tree: Node, folder: str, report: Report) -> None:
    """The team's name and folder."""
    at = tree.nearest(("metadata", "name")).where
    if team.name != folder:
        report.add(
            "041", f"metadata.name is {team.name}, the folder is {folder}", at, valid=(folder,), fix=f"Write {folder}"
        )
    elif team.name.endswith(LONGTERM):
        owner = team.name.removesuffix(LONGTERM)
        report.add("049", f"{team.name} is the tenant for the hourly profiles of a team {owner}", at)
    elif team.name == ORGANISATION:
        report.add("049", f"{team.name} stands for the organisation in the names of objects", at)


def service_agrees(
    checked: Checked[Service], tree: Node, folders: tuple[str, str], organisation: Organisation, report: Report
) -> None:
    """The service's name, team, repository host and namespace, as far as they are known."""
    service, knows = checked.model, checked.knows
    if service is None:
        return
    for key, folder, name in (("team", folders[0], service.team), ("name", folders[1], service.name)):
        if name != folder and knows("metadata", key):
            at = tree.nearest(("metadata", key)).where
            report.add(
                "041", f"metadata.{key} is {name}, the folder is {folder}", at, valid=(folder,), fix=f"Write {folder}"
            )
    spec = organisation.spec
    host = service.metadata.repository.removeprefix("https://").split("/")[0].split(":")[0]
    if host not in spec.repository_hosts and knows("metadata", "repository"):
        at = tree.nearest(("metadata", "repository")).where
        message = f"the repository is on {host}; the organisation's hosts are {', '.join(spec.repository_hosts)}"
        report.add("044", message, at, valid=tuple(spec.repository_hosts))
    namespace, at = service.spec.workload.namespace, tree.nearest(("spec", "workload", "namespace")).where
    if not knows("spec", "workload", "namespace"):
        return
    if namespace in NAMESPACES or namespace.startswith("kube-"):
        holder = "the platform's own" if namespace in NAMESPACES else "one of Kubernetes"
        report.add("047", f"the namespace {namespace} is {holder}", at)
    elif namespace in spec.excluded_namespaces:
        report.add("048", f"the organisation never samples the namespace {namespace}", at)


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
