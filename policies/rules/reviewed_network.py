"""Every edge of the network against the table of those that were reviewed: too many, and missing."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from policies import declared
from policies.backstop import Backstop, Suspect, unblamed
from policies.edges import DIRECTIONS, Opening, openings, program, selecting
from policies.objects import WORKLOADS, at, breaks, items, name, namespace, template, texts
from policies.resources import SETTINGS
from policies.reviewed_pods import metadata
from policies.rule import Manifest, Rule, Violation
from policies.rules import declarations, limits, network
from policies.rules.network import SHARED, selects_all
from schemas.allowed import NAMESPACES
from schemas.reviewed import network as reviewed
from schemas.reviewed.network import APP, LABELLED, Edge
from schemas.reviewed.services import SERVICES, services

# They say what is wrong with a single policy, whatever environment it is for; where they speak, this rule does not.
SPECIFIC: Final = (*network.RULES, *(rule for rule in limits.RULES if rule.id == "FP032"))


def _network(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    ours = [m for m in manifests if namespace(m) in NAMESPACES]
    policies = [m for m in ours if m.get("kind") == "NetworkPolicy"]
    workloads = [m for m in ours if m.get("kind") in WORKLOADS]
    settings = next((m["spec"] for m in manifests if m.get("kind") == SETTINGS and at(m, "spec", "environment")), None)
    misnamed = {id(w) for w in workloads if _carried(w, APP) != name(w)}
    clean = {id(m) for m in unblamed(ours, manifests, SPECIFIC)}
    expected = {} if settings is None else _expected(manifests, settings)
    # Of a workload that nobody reviewed rule FP050 speaks, where there are settings.
    yield from _labels([w for w in workloads if id(w) in clean and (settings is None or program(w) in expected)], ours)
    judged = [w for w in workloads if id(w) in clean and id(w) not in misnamed]
    specific = Backstop(manifests, SPECIFIC)
    if settings is None:
        yield from specific.left(_unlisted(judged, policies))
        return
    told = {id(p) for p in policies if id(p) not in clean}
    yield from specific.left(_compared(judged, policies, expected, told, disputed=_disputed(manifests)))
    blamed = {program(w) for w in workloads if id(w) not in clean}
    for policy in (p for p in policies if id(p) in clean and program(p) not in blamed):
        yield from _form(policy, {program(w) for w in workloads})
        selected = any(p is policy for w in workloads for p in selecting(w, policies))
        absent = program(policy) in expected and program(policy) not in {program(w) for w in workloads}  # FP051 says so
        if not selected and not misnamed and not absent:
            yield breaks(policy, "selects no pods of the platform: it opens what nobody declared, or nothing")
    yield from _services(ours, settings)


def _labels(workloads: Sequence[Manifest], ours: Sequence[Manifest]) -> Iterator[Violation]:
    """Pods are let in by their labels: who carries another's is let in as that one."""
    names = {name(m) for m in ours if m.get("kind") in WORKLOADS} | {one.partition("/")[2] for one in SERVICES}
    for workload in workloads:
        if (called := _carried(workload, APP)) != name(workload) and called in names:
            yield breaks(workload, f"has pods that are labelled {APP}: {called}, as another program's are")
        for label, programs in LABELLED.items():
            wanted = "true" if program(workload) in programs else None
            if (found := _carried(workload, label)) != wanted:
                yield breaks(
                    workload, f"has pods with the label {label}: {found or 'none'}; it must be {wanted or 'none'}"
                )


def _carried(workload: Manifest, label: str) -> Any:
    return (at(template(workload), "metadata", "labels") or {}).get(label)


def _unlisted(workloads: Sequence[Manifest], policies: Sequence[Manifest]) -> Iterator[Suspect]:
    """Without settings only what is open between programs of the platform can be judged, not what is missing."""
    for workload in workloads:
        for opening in openings(workload, policies):
            if opening.edge.peer.partition("/")[0] in NAMESPACES and opening.edge not in _anywhere():
                yield _too_many(opening)


@cache
def _anywhere() -> frozenset[Edge]:
    return frozenset(reviewed.anywhere())


def _expected(manifests: Sequence[Manifest], settings: Mapping[str, Any]) -> dict[str, set[Edge]]:
    """The reviewed edges by program."""
    specs = [document.get("spec") or {} for document in declared.read(manifests).services]
    scrapes = [scrape for spec in specs if (scrape := reviewed.scraped(spec))]
    senders = [str(at(spec, "workload", "namespace")) for spec in specs if reviewed.sends(spec)]
    found: dict[str, set[Edge]] = {}
    for edge in reviewed.edges(settings, scrapes, senders):
        found.setdefault(edge.program, set()).add(edge)
    return found


def _disputed(manifests: Sequence[Manifest]) -> bool:
    """Whether something is wrong with the declarations themselves: what the agent scrapes is then not known."""
    rules = [rule for rule in declarations.RULES if rule.scope == "stack"]
    return bool(declared.gone(manifests)) or any(
        True for rule in rules if (of := rule.applicable(manifests)) for _ in rule.check(of)
    )


def _compared(
    workloads: Sequence[Manifest],
    policies: Sequence[Manifest],
    expected: Mapping[str, set[Edge]],
    told: set[int],
    *,
    disputed: bool,
) -> Iterator[Suspect]:
    """``told``: policies of which a specific rule speaks; what they do not open is that mistake's other side."""
    shared = {namespace(p): p for p in policies if name(p) == SHARED}
    seen: set[tuple[int, str]] = set()
    for workload in workloads:
        of = program(workload)
        if of == reviewed.AGENT and disputed:
            continue
        known = expected.get(of, set())
        # Of policies that are about every pod, but must not be, rule FP006 speaks.
        opened = [one for one in openings(workload, policies) if not selects_all(one.policy)]
        called = next((p for p in policies if program(p) == of), workload)
        suspects = [
            _too_many(opening)
            for opening in opened
            if opening.edge not in known and not (of not in expected and opening.edge.peer == reviewed.DNS)
        ]
        for edge in sorted(known - {opening.edge for opening in opened}):
            lacking = shared.get(namespace(workload), called) if edge.peer == reviewed.DNS else called
            if id(lacking) not in told:
                how = f"does not open {_named(edge, lacking)}, which was reviewed (schemas/reviewed/network.py)"
                suspects.append(Suspect(breaks(lacking, how), lacking, lacking))
        for suspect in suspects:  # what one policy opens for all pods of its namespace is told once
            if (where := (id(suspect.was), suspect.violation.message)) not in seen:
                seen.add(where)
                yield suspect


def _too_many(opening: Opening) -> Suspect:
    how = f"opens {_named(opening.edge, opening.policy)}, which nobody reviewed (schemas/reviewed/network.py)"
    return Suspect(breaks(opening.policy, how), opening.policy, opening.closed())


def _named(edge: Edge, policy: Manifest) -> str:
    """An edge, of every pod where the policy is of all."""
    return str(edge._replace(program="every pod") if name(policy) == SHARED else edge)


def _form(policy: Manifest, programs: set[str]) -> Iterator[Violation]:
    """What a policy says has effect, and it says nothing else."""
    named = set(texts(at(policy, "spec", "policyTypes")))
    if program(policy) in programs and named != set(DIRECTIONS):
        yield breaks(policy, f"has policyTypes {', '.join(sorted(named)) or 'unset'}; it must be Ingress, Egress")
    for direction, (rules, _, _) in DIRECTIONS.items():
        if named and direction not in named and items(at(policy, "spec", rules)):
            yield breaks(policy, f"has {rules} rules, which have no effect without {direction} in policyTypes")
    yield from metadata(policy)


def _services(ours: Sequence[Manifest], settings: Mapping[str, Any]) -> Iterator[Violation]:
    """A program whose Service is left out is there for nobody. What a Service is, is rule FP007's."""
    declared_ones = {program(m) for m in ours if m.get("kind") == "Service"}
    for missing in (one for one in services(settings) if one not in declared_ones):
        key, value = SERVICES[missing].selector
        behind = next((w for w in ours if w.get("kind") in WORKLOADS and _carried(w, key) == value), None)
        if behind is not None:
            yield breaks(behind, f"has no Service {missing}: nobody finds it")


RULES: Final = (
    Rule(
        id="FP048",
        name="reviewed-edges",
        why="Pyroscope knows no passwords, so the network is its door: whatever connects there, and wherever the "
        "platform connects to, was looked at by somebody, edge by edge.",
        remediation="Open with components/network.py exactly the edges of schemas/reviewed/network.py; an edge that is "
        "needed is added there first, with its reason.",
        kinds=("Namespace", "NetworkPolicy", "Service", "ConfigMap", SETTINGS, *WORKLOADS),
        check=_network,
        scope="stack",
    ),
)
