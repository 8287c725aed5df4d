"""What the other programs are told, and the declarations themselves, compared with what was reviewed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.compare import differences
from policies.context import Platform, environment, platform, refusal
from policies.declared import ORGANISATION, read
from policies.documents import compared, in_files, missing_said, standing_back, undisputed
from policies.objects import WORKLOADS, at, breaks, documents, items, plain
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules import cloud_budget, declarations, outside, profilers, retention, secrets, tenants
from schemas.allowed import SYSTEM_NAMESPACE
from schemas.reviewed import configuration_alerts as alerts
from schemas.reviewed import configuration_programs as programs
from schemas.service import Service
from schemas.team import Organisation, Team

BUDGET: Final = "flameplane-budgets.rules."  # as paths in messages show the group of the budgets' records
_BUDGETS: Final = tuple(r for r in (*declarations.RULES, *cloud_budget.RULES) if r.id in ("FP010", "FP042"))
BINDING: Final = "MutatingAdmissionPolicyBinding"
# Who says the same of a single value, and says it better.
_BEFORE: Final = (
    *(*declarations.RULES, *outside.RULES, *profilers.RULES, *retention.RULES, *secrets.RULES, *tenants.RULES),
)


def _configuration(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if environment(manifests) is None:
        if any(at(m, "spec", "environment") for m in manifests if m.get("kind") == SETTINGS):
            yield Violation("the settings of the environment are refused (flameplane validate): nothing is compared")
        return
    found = platform(manifests)
    broken = [*_declarations(manifests), *(_programs(found) if found else ()), *(_alerts(found) if found else ())]
    if broken:
        broken = undisputed(broken, declarations.disputed(manifests))
        if any(BUDGET in v.message for v in broken) and missing_said(manifests, _BUDGETS):
            broken = [v for v in broken if BUDGET not in v.message]
    if not found and not broken and not missing_said(manifests, declarations.RULES):
        # Nothing can be compared without them: that is never silent.
        broken = [Violation(f"the declarations in {SYSTEM_NAMESPACE} do not fit together")]
    yield from standing_back(broken, manifests, _BEFORE)


def _declarations(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """Every document of the catalog is one that service.yaml, _team.yaml or _org.yaml could be, with all that is
    inherited written out."""
    declared = read(manifests)
    catalogs = {str(at(m, "metadata", "name")): m for m in manifests if m.get("kind") == "ConfigMap"}
    if why := refusal(Organisation, declared.organisation):
        if manifest := catalogs.get(ORGANISATION):
            yield breaks(manifest, f"holds no whole declaration of the organisation: {why}")
        else:
            yield Violation(f"no ConfigMap {ORGANISATION} in {SYSTEM_NAMESPACE}: nobody said what holds for all")
    for team in declared.teams.values():
        if why := refusal(Team, team.body):
            yield breaks(team.manifest, f"holds no whole declaration of team {team.name}: {why}")
        elif (called := team.get("metadata.name")) != team.name:
            yield breaks(team.manifest, f"holds the team {called}, not {team.name}")
    for service in declared.services:
        if why := refusal(Service, service.body):
            yield breaks(service.manifest, f"holds no whole declaration of {service.name}: {why}")
        elif (called := service.get("metadata.name")) != service.name:
            yield breaks(service.manifest, f"holds {called} in {service.name}.yaml")


def _programs(found: Platform) -> Iterator[Violation]:
    settings, catalog = found.settings, found.catalog
    services = {"services.json": programs.node_services(settings, catalog)}
    yield from compared(found, programs.NODE_SERVICES, services)
    if settings.regression.egress_hosts:
        yield from compared(found, programs.PROXY, {"squid.conf": programs.squid(settings)})
    for service in catalog.services:
        where = (SYSTEM_NAMESPACE, f"inject-{service.name}")
        if manifest := found.find("ConfigMap", *where):
            wanted = {"env": programs.injected(service)} if service.injected else {}
            yield from in_files(manifest, wanted)
        elif found.find(BINDING, "", f"flameplane-inject-{service.name}"):
            yield Violation(f"no ConfigMap {where[1]} in {where[0]}: without it {service.name} gets no agent")


def _alerts(found: Platform) -> Iterator[Violation]:
    wanted = alerts.groups(found.settings, found.catalog)
    if found.settings.alerts.rules == "configmap":
        manifest = found.find("ConfigMap", *alerts.NAME)
        document = documents(manifest).get(alerts.FILE) if manifest else None
    else:
        manifest = found.find("PrometheusRule", *alerts.NAME)
        document = plain(manifest.get("spec")) if manifest else None
        yield from _monitor(found)
    if manifest is None:
        yield Violation(f"no object holds the alert rules ({'/'.join(alerts.NAME)}): nobody would be told of anything")
        return
    yield from (breaks(manifest, how) for how in _rules(document, wanted))
    for key in manifest.get("data") or {}:
        if key != alerts.FILE:
            yield breaks(manifest, f"has {key}, which was never reviewed; leave it out")


def _rules(document: Any, wanted: alerts.Groups) -> Iterator[str]:
    if not isinstance(document, Mapping):
        yield "holds no groups of rules"
        return
    try:
        groups, twice = alerts.by_name(items(document.get("groups")))
    except (AttributeError, TypeError):
        yield "holds something that is no group of rules"
        return
    yield from (f"has {name} twice" for name in twice)
    yield from differences({**document, "groups": groups}, {"groups": wanted})


def _monitor(found: Platform) -> Iterator[Violation]:
    manifest = found.find("PodMonitor", *alerts.MONITOR)
    if manifest is None:
        yield Violation(f"no PodMonitor {alerts.MONITOR[1]} in {alerts.MONITOR[0]}: Prometheus would scrape nothing")
    else:
        yield from (breaks(manifest, how) for how in differences(plain(manifest.get("spec")), alerts.monitor()))


RULES: Final = (
    Rule(
        id="FP055",
        name="platform-configuration",
        why="An alert with another threshold, a host too many in the proxy's list, a variable too many of an agent: "
        "each is a line that nobody looks at again.",
        remediation="Change what it follows from: the settings, services/, or, reviewed, the tables in "
        "schemas/reviewed/configuration_programs.py and configuration_alerts.yaml.",
        kinds=("ConfigMap", "PrometheusRule", "PodMonitor", BINDING, *WORKLOADS, SETTINGS),
        check=_configuration,
        scope="stack",
        waivable=False,  # where a declaration is none, the rules that compare with it wait for this one
    ),
)
