"""What the other programs are told, and the declarations themselves, compared with what was reviewed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.backstop import Backstop, Suspect
from policies.compare import differences, put, shown
from policies.context import Platform, environment, platform, refusal, written
from policies.declared import ORGANISATION, PREFIX, Document, gone, read
from policies.documents import compared, in_files, missing_said, parts, undisputed
from policies.objects import WORKLOADS, at, breaks, documents, items, plain
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules import cloud_budget, declarations, images, outside, profilers, retention, secrets, tenants
from schemas.allowed import SYSTEM_NAMESPACE
from schemas.reviewed import configuration_alerts as alerts
from schemas.reviewed import configuration_programs as programs
from schemas.reviewed.forms import NOTHING
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
        wrong = any(at(m, "spec", "environment") for m in manifests if m.get("kind") == SETTINGS)
        if wrong and not any(True for _ in images.from_everybody(manifests)):  # rule FP005 says it
            yield Violation("the settings of the environment are refused (flameplane validate): nothing is compared")
        return
    found = platform(manifests)
    broken = [*_declarations(manifests), *(_programs(found) if found else ()), *(_alerts(found) if found else ())]
    if broken:
        broken = undisputed(broken, declarations.disputed(manifests))
        if any(BUDGET in s.violation.message for s in broken) and missing_said(manifests, _BUDGETS):
            broken = [s for s in broken if BUDGET not in s.violation.message]
    if not found and not broken and not _told(manifests):
        # Nothing can be compared without them: that is never silent.
        yield Violation(f"the declarations in {SYSTEM_NAMESPACE} do not fit together")
    yield from Backstop(manifests, _BEFORE).left(broken)


def _declarations(manifests: Sequence[Manifest]) -> Iterator[Suspect]:
    """Every document of the catalog is one that service.yaml, _team.yaml or _org.yaml could be, with all that is
    inherited written out."""
    declared = read(manifests)
    catalogs = {str(at(m, "metadata", "name")): m for m in manifests if m.get("kind") == "ConfigMap"}
    if why := refusal(Organisation, declared.organisation):
        if manifest := catalogs.get(ORGANISATION):
            yield _alone(breaks(manifest, f"holds no whole declaration of the organisation: {why}"))
        else:
            how = f"no ConfigMap {ORGANISATION} in {SYSTEM_NAMESPACE}: nobody said what holds for all"
            yield _alone(Violation(how))
    elif wanted := written():
        yield from _organisation(catalogs[ORGANISATION], declared.organisation, wanted)
    for document, why in _refused(manifests):
        if not _said(document, why, manifests):
            what = f"holds no whole declaration of {document.kind} {document.name}: {why}"
            yield _alone(breaks(document.manifest, what))
    for document in (*declared.teams.values(), *declared.services):
        if (called := document.get("metadata.name")) != document.name and not _refusal(document):
            yield _alone(breaks(document.manifest, f"holds the {document.kind} {called}, not {document.name}"))


def _organisation(manifest: Manifest, found: Mapping[str, Any], wanted: Organisation) -> Iterator[Suspect]:
    """Floors and ceilings that no team may leave stand in no other object: they are compared with the file itself."""
    for one in differences(plain(found), wanted.model_dump(by_alias=True, mode="json", exclude_none=True)):
        yield from parts(
            manifest, f"{ORGANISATION.removeprefix(PREFIX)}.yaml", found, [(f"{one} (as in _org.yaml)", one.mended)]
        )


def _refused(manifests: Sequence[Manifest]) -> Iterator[tuple[Document, str]]:
    """Documents of teams and services that are no whole declarations, and why."""
    declared = read(manifests)
    for document in (*declared.teams.values(), *declared.services):
        if why := _refusal(document):
            yield document, why


def _refusal(document: Document) -> str | None:
    return refusal(Team if document.kind == "team" else Service, document.body)


def _told(manifests: Sequence[Manifest]) -> bool:
    """Whether another rule says what is wrong with the declarations."""
    said = any(_said(document, why, manifests) for document, why in _refused(manifests))
    return said or bool(gone(manifests)) or missing_said(manifests, declarations.RULES)


def _alone(violation: Violation) -> Suspect:
    """What no other rule says."""
    return Suspect(violation, None, None)


def _said(document: Document, why: str, manifests: Sequence[Manifest]) -> bool:
    """Whether a rule about declarations speaks of the same value of the same document."""
    where = document.declared(why.partition(":")[0])
    for rule in (r for r in _BEFORE if r.severity == "error"):
        for violation in rule.check(rule.applicable(manifests)):
            if violation.declared and f"{where}.".startswith(f"{violation.declared}."):
                return True
            if violation.declared.startswith(f"{where}."):
                return True
    return False


def _programs(found: Platform) -> Iterator[Suspect]:
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
            how = f"no ConfigMap {where[1]} in {where[0]}: without it {service.name} gets no agent"
            yield _alone(Violation(how))


def _alerts(found: Platform) -> Iterator[Suspect]:
    wanted = alerts.groups(found.settings, found.catalog)
    if found.settings.alerts.rules == "configmap":
        manifest = found.find("ConfigMap", *alerts.NAME)
        document = documents(manifest).get(alerts.FILE) if manifest else None
    else:
        manifest = found.find("PrometheusRule", *alerts.NAME)
        document = plain(manifest.get("spec")) if manifest else None
        yield from _monitor(found)
    if manifest is None:
        how = f"no object holds the alert rules ({'/'.join(alerts.NAME)}): nobody would be told of anything"
        yield _alone(Violation(how))
        return
    for how, mended in _rules(document, wanted):
        if manifest.get("kind") == "ConfigMap":
            yield from parts(manifest, alerts.FILE, document, [(how, mended)])
        else:
            yield Suspect(breaks(manifest, how), manifest, put(manifest, ("spec",), mended))
    for key, value in (manifest.get("data") or {}).items():
        if key != alerts.FILE:
            how = f"has {key} {shown(str(value))}, which was never reviewed; leave it out"
            yield Suspect(breaks(manifest, how), manifest, put(manifest, ("data", key), NOTHING))


def _rules(document: Any, wanted: alerts.Groups) -> Iterator[tuple[str, Any]]:
    """What is wrong with the groups of rules, each with the groups as they would be without it."""
    if not isinstance(document, Mapping):
        yield "holds no groups of rules", document
        return
    try:
        groups, twice = alerts.by_name(items(document.get("groups")))
    except (AttributeError, TypeError):
        yield "holds something that is no group of rules", document
        return
    yield from ((f"has {name} twice", document) for name in twice)
    for one in differences({**document, "groups": groups}, {"groups": wanted}):
        listed = [
            {**group, "rules": list((group.get("rules") or {}).values())} for group in one.mended["groups"].values()
        ]
        yield str(one), {**one.mended, "groups": listed}


def _monitor(found: Platform) -> Iterator[Suspect]:
    manifest = found.find("PodMonitor", *alerts.MONITOR)
    if manifest is None:
        how = f"no PodMonitor {alerts.MONITOR[1]} in {alerts.MONITOR[0]}: Prometheus would scrape nothing"
        yield _alone(Violation(how))
    else:
        for one in differences(plain(manifest.get("spec")), alerts.monitor()):
            yield Suspect(breaks(manifest, str(one)), manifest, put(manifest, ("spec",), one.mended))


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
