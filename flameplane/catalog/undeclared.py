"""Where profiles of undeclared pods go. They are anybody's: only those who run the platform may read them."""

from collections.abc import Iterable, Mapping

from flameplane.catalog.report import Report
from flameplane.catalog.tree import Node
from schemas.service import Service
from schemas.team import Organisation, Team


def nobodys_else(
    organisation: Organisation,
    tree: Node,
    teams: Mapping[str, Team | None],
    services: Iterable[tuple[Service, Node]],
    report: Report,
) -> None:
    """Report a team of ``spec.undeclared`` that is none, whose profiles others than the platform's groups may read, or
    that has services of its own. Of ``teams`` by folder, None is one whose file is broken."""
    undeclared = organisation.spec.undeclared
    if undeclared is None:
        return
    team, at = undeclared.team, tree.nearest(("spec", "undeclared", "team")).where
    if team not in teams:
        message = f"spec.undeclared.team is {team}, and there is no such team"
        report.add("054", message, at, fix=f"Add services/{team}/_team.yaml, or name another team.")
        return
    allowed = organisation.spec.platform_groups
    found = teams[team]
    if found and (foreign := sorted(set(found.spec.groups).difference(allowed))):
        message = f"profiles of undeclared pods would be read by {', '.join(foreign)}, who do not run the platform"
        report.add("054", message, at, valid=tuple(allowed))
        return  # of a team named by mistake, its services are none
    for service, written in services:
        if service.team == team:
            message = f"the service {service.name} is of {team}, the team for undeclared pods ({at})"
            report.add("054", message, written.nearest(("metadata", "team")).where, related=(at,))
