"""What every declared service and team must have: an owner, a budget, a sample rate that the agents really use."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from policies.declared import NODE_SERVICES, Declared, Document, gone, read, told
from policies.objects import at, breaks, documents, items, label, name, namespace, plain
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import AGENT_NAMESPACE, SAMPLE_RATE_HZ

RATE: Final = "spec.profiling.sampleRateHz"
# What the agents are told of a service, and where it is declared.
TOLD: Final = {
    "sampleRateHz": RATE,
    "team": "metadata.team",
    "types": "spec.profiling.types",
    "cpuSource": "spec.profiling.cpuSource",
    "labels": "spec.labels",
    "pprofPort": "spec.language.pprofPort",
    "namespace": "spec.workload.namespace",
    "selector": "spec.workload.selector",
}
LOWEST, HIGHEST = SAMPLE_RATE_HZ


def _sample_rates(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    ceiling = min(HIGHEST, declared.limit("maxSampleRateHz") or HIGHEST)
    for service in declared.services:
        rate = service.get(RATE)
        if rate is None or not LOWEST <= rate <= ceiling:
            yield _of(service, RATE, f"sample rate of {service.name} is {rate} Hz; valid: {LOWEST} to {ceiling}")
    for manifest in manifests:
        if namespace(manifest) == AGENT_NAMESPACE and name(manifest) == NODE_SERVICES:
            yield from _agents_agree(manifest, declared, gone(manifests))


def _agents_agree(manifest: Manifest, declared: Declared, unknown: set[str]) -> Iterator[Violation]:
    """What the agents are told is what was declared: same services, same rates, same team. ``unknown``: teams of which
    rule FP011 says that they are none."""
    services = {s.name: s for s in declared.services}
    document: dict[str, Any] = documents(manifest).get("services.json") or {}
    base = at(document, "baseRateHz")
    if base != HIGHEST:
        yield breaks(manifest, f"has baseRateHz {base}; service rates are thinned from {HIGHEST}")
    entries = {str(at(entry, "service")): entry for entry in items(at(document, "services"))}
    for missing in sorted(services.keys() - entries.keys()):
        yield _of(
            services[missing],
            RATE,
            f"{label(manifest)} does not tell the agents about {missing}: it would not be profiled",
            manifest,
        )
    for extra in sorted(n for n in entries.keys() - services.keys() if at(entries[n], "team") not in unknown):
        yield breaks(manifest, f"tells the agents about {extra}, which no service file declares")
    for service in (services[n] for n in sorted(services.keys() & entries.keys())):
        entry = entries[service.name]
        for key, path in TOLD.items():
            nobodys = key == "team" and service.get(path) not in declared.teams  # rule FP009 says so
            if not nobodys and plain(entry.get(key)) != plain(service.get(path)):
                yield _of(
                    service,
                    path,
                    f"{label(manifest)} has {key} {entry.get(key)} for {service.name}, declared is {service.get(path)}",
                    manifest,
                )


def disputed(manifests: Sequence[Manifest]) -> set[str]:
    """Services about which the agents are told something else than is declared, or one of both nothing: rule FP008
    speaks about these, and other documents that follow from the declaration cannot agree with both."""
    declared = read(manifests)
    said = {v.declared.partition(" ")[0] for v in _sample_rates(manifests) if v.declared}
    differ = {s.name for s in declared.services} ^ told(manifests).keys() if told(manifests) else set()
    return {service.removeprefix("service/") for service in said} | differ


def _owners(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    hosts = [str(h) for h in items(at(declared.organisation, "spec", "repositoryHosts"))]
    for team in declared.teams.values():
        for path, what in (
            ("metadata.owners", "owners"),
            ("metadata.slack", "chat channel (slack)"),
            ("spec.groups", "groups"),
        ):
            if not team.get(path):
                yield _of(team, path, f"team {team.name} has no {what}")
    for service in declared.services:
        owner, repository = service.get("metadata.team"), service.get("metadata.repository")
        if owner not in declared.teams:
            yield _of(
                service,
                "metadata.team",
                f"service {service.name} belongs to {owner or 'no team'}; teams: {', '.join(sorted(declared.teams))}",
            )
        elif service not in declared.of_team(owner):
            yield _of(
                service, "metadata.team", f"service {service.name} of team {owner} stands in {label(service.manifest)}"
            )
        host = urlsplit(repository or "").hostname
        if not repository or (hosts and host not in hosts):
            yield _of(
                service,
                "metadata.repository",
                f"service {service.name} has repository {repository or 'none'}; it must be on {', '.join(hosts)}",
            )
    yield from _labels(manifests, declared)


def _labels(manifests: Sequence[Manifest], declared: Declared) -> Iterator[Violation]:
    """Objects made for a service say whose they are, so that whoever meets one knows whom to ask."""
    owners = {s.name: s.get("metadata.team") for s in declared.services}
    left_out = told(manifests).keys() - owners.keys()  # of these rules FP008 and FP011 speak
    for manifest in manifests:
        labels = at(manifest, "metadata", "labels") or {}
        service, team = labels.get("flameplane.dev/service"), labels.get("flameplane.dev/team")
        if service is not None and service not in left_out and owners.get(service, "") != team:
            yield breaks(
                manifest, f"is labelled service {service} of team {team or 'none'}, which no service file declares"
            )


def _budgets(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    for document in declared.services:
        for path, ceiling in (("monthlyUsd", "maxMonthlyUsd"), ("storedGb", "maxStoredGb")):
            yield from _amount(document, f"spec.budget.{path}", declared.limit(ceiling))
    for team in declared.teams.values():
        # Together they have to fit into the organisation's, which rule FP042 says.
        yield from _amount(team, "spec.monthlyUsd", declared.limit("maxTeamMonthlyUsd"))


def _amount(document: Document, path: str, ceiling: float | None) -> Iterator[Violation]:
    amount = document.get(path)
    if not amount or amount <= 0:
        yield _of(document, path, f"{document.kind} {document.name} has no budget ({path})")
    elif ceiling is not None and amount > ceiling:
        yield _of(
            document,
            path,
            f"{document.kind} {document.name} has {path} {amount:g}, above the organisation's limit of {ceiling:g}",
        )


def _sums(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    most = declared.limit("maxMonthlyUsd")
    for team in declared.teams.values():
        budgets = [s.get("spec.budget.monthlyUsd") or 0 for s in declared.of_team(team.name)]
        total = sum(min(budget, most or budget) for budget in budgets)  # rule FP010 speaks of one that is above
        ceiling = team.get("spec.monthlyUsd") or 0
        if 0 < ceiling < total:  # without any, rule FP010 speaks
            message = f"the services of team {team.name} may spend {total:g} USD a month, its ceiling is {ceiling:g}"
            yield _of(team, "spec.monthlyUsd", message)


def _of(document: Document, path: str, message: str, manifest: Manifest | None = None) -> Violation:
    return Violation(message, manifest or document.manifest, document.declared(path))


RULES: Final = (
    Rule(
        id="FP008",
        name="sample-rates",
        why="Above 99 Hz the overhead promise does not hold, and a rate that the agents are not told is a rate that "
        "nobody gets.",
        remediation="Declare `spec.profiling.sampleRateHz` between 0 (off) and 99; node-services is made from the "
        "same catalog.",
        kinds=("ConfigMap",),
        check=_sample_rates,
        scope="stack",
    ),
    Rule(
        id="FP009",
        name="owner",
        why="An alert without an owner wakes nobody, and a profile without a repository cannot be blamed on a commit.",
        remediation="Give the team owners, groups and a channel in `_team.yaml`, and the service its team and its "
        "repository on a git host of the organisation.",
        kinds=(
            "ConfigMap",
            "MutatingAdmissionPolicyBinding",
            "PrometheusRule",
            "Deployment",
            "Service",
            "NetworkPolicy",
        ),
        check=_owners,
        scope="stack",
    ),
    Rule(
        id="FP010",
        name="budget",
        why="Profiling that nobody limited is found on the cloud bill; alerts at 80 % need a hundred.",
        remediation="Declare `spec.budget` of the service within the limits of `_org.yaml`, and `spec.monthlyUsd` of "
        "the team.",
        kinds=("ConfigMap",),
        check=_budgets,
        scope="stack",
    ),
    Rule(
        id="FP014",
        name="budget-sum",
        why="A team whose services may spend more than the team gets its alert from the team's ceiling first, and the"
        " service at fault is hidden.",
        remediation="Raise the team's `spec.monthlyUsd` or lower the budgets of its services; not every service "
        "spends all it may, so this does not block.",
        kinds=("ConfigMap",),
        check=_sums,
        severity="warning",
        scope="stack",
    ),
)
