"""Programs as they were reviewed: how they are started, and what keeps them up."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from policies.compared import Difference, differences
from policies.context import Platform, platform
from policies.objects import WORKLOADS, at, breaks, name, namespace
from policies.programs import APP, key, program, reviewed, upkeep
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import BACKEND_NAMESPACE, KINDS, NAMESPACES
from schemas.reviewed.forms import ANY, Maybe
from schemas.reviewed.program_forms import Workload
from schemas.reviewed.programs import Key

BUDGET: Final = "PodDisruptionBudget"
# Where another rule says in words what is wrong with a field of an object, the comparison does not repeat it.
# Part of a path -> rules.
SAID_BY: Final = {
    ".image": ("FP005", "FP013"),
    ".args": ("FP004", "FP011", "FP012", "FP019", "FP033", "FP034", "FP035", "FP036", "FP039", "FP044"),
    ".command": ("FP004", "FP011", "FP012", "FP019", "FP033", "FP035", "FP044"),
    ".env": ("FP019", "FP033", "FP034", "FP035"),
    ".volumeMounts": ("FP002", "FP012"),
    ".ports": ("FP007", "FP048"),
    "containers[": ("FP001", "FP002", "FP003", "FP005", "FP015", "FP038"),
    "initContainers[": ("FP001", "FP002", "FP003", "FP005", "FP015", "FP038"),
    ".replicas": ("FP036", "FP037"),
    "spec.persistentVolumeClaimRetentionPolicy": ("FP012",),
    "volumeClaimTemplates": ("FP012",),
    "pod.affinity": ("FP036", "FP037"),
    "pod.topologySpreadConstraints": ("FP037",),
    ".resources": ("FP038",),
    "Probe": ("FP033",),
    "spec.updateStrategy": ("FP002",),
    "spec.maxUnavailable": ("FP037",),
    "spec.selector": ("FP037",),
    "network": ("FP048",),  # of a program that is not there
    "workload": ("FP001", "FP002", "FP003", "FP005", "FP015", "FP033", "FP036", "FP038", "FP049"),
}


def _programs(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    table, said = _table(found), _said(manifests)
    for manifest in _ours(manifests, WORKLOADS):
        row = table.get(key(manifest))
        if row is None or row.kind != manifest.get("kind"):
            if not said(manifest, "workload"):
                yield breaks(manifest, "is no program of this environment that was reviewed")
        else:
            yield from _told(manifest, program(manifest, row), said)


def _kept_up(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    table, said = _table(found), _said(manifests)
    workloads = {key(m): m for m in _ours(manifests, WORKLOADS)}
    for where, row in table.items():
        manifest = workloads.get(where)
        if manifest is None:
            network = next((m for m in manifests if m.get("kind") == "NetworkPolicy" and key(m) == where), None)
            if network is None or not said(network, "network"):
                yield Violation(f"{row.kind}/{where[1]} in {where[0]} is not declared: nothing does its work")
        elif row.kind == manifest.get("kind"):
            yield from _told(manifest, upkeep(manifest, row), said)
    yield from _budgets(manifests, table, workloads, said)
    yield from _classes(manifests, found, said)


def _budgets(
    manifests: Sequence[Manifest], table: dict[Key, Workload], workloads: dict[Key, Manifest], said: "_Said"
) -> Iterator[Violation]:
    budgets = {key(m): m for m in _ours(manifests, (BUDGET,))}
    for where, manifest in budgets.items():
        row = table.get(where)
        if row is None or not row.budget:
            yield breaks(manifest, "belongs to no program that was reviewed: it may hold up every drain of a node")
            continue
        replicas = at(workloads.get(where), "spec", "replicas") or 1
        wanted = {
            "maxUnavailable": Maybe(1) if replicas > 1 else 1,  # of several pods the other form will do (rule FP037)
            "minAvailable": Maybe(ANY) if replicas > 1 else None,
            "selector": {"matchLabels": {APP: where[1]}},
            "unhealthyPodEvictionPolicy": Maybe("AlwaysAllow"),
        }
        if not any(said(m, "spec.selector") for m in (manifest, workloads.get(where)) if m is not None):
            yield from _told(manifest, differences(manifest.get("spec"), wanted, "spec"), said)
    for where, row in table.items():
        if row.budget and where not in budgets and where in workloads and not said(workloads[where], "spec.selector"):
            yield breaks(workloads[where], f"has no PodDisruptionBudget {where[1]}: a drain may take all its pods")


def _classes(manifests: Sequence[Manifest], found: Platform, said: "_Said") -> Iterator[Violation]:
    """The agents' priority, and volumes that are declared by themselves."""
    volumes, grafana = found.settings.backend.volumes, found.settings.correlation.grafana
    for manifest in manifests:
        kind, wanted = manifest.get("kind"), None
        body: Any = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind", "metadata")}
        if kind == "PriorityClass" and name(manifest).startswith("flameplane-"):
            # Before what is profiled, and never in its place: a profiler evicts nobody.
            wanted = {"value": 100_000, "globalDefault": Maybe(False), "description": Maybe(body.get("description"))}
            wanted["preemptionPolicy"] = "Never"
        elif kind == "PersistentVolumeClaim" and namespace(manifest) in NAMESPACES:
            size = getattr(grafana, "storage", None) if name(manifest) == "grafana" else None
            if size is None:
                yield breaks(manifest, "belongs to no program that was reviewed")
                continue
            storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
            wanted = {"spec": {**storage, "storageClassName": volumes.storage_class}}
        elif kind == "PersistentVolume" and name(manifest).startswith("flameplane-"):
            claim = name(manifest).removeprefix("flameplane-")
            wanted = {"spec": _static(claim, found)}
        if wanted is not None:
            yield from _told(manifest, differences(body, wanted), said)


def _static(claim: str, found: Platform) -> dict[str, Any]:
    volumes = found.settings.backend.volumes
    owner, size = {"metastore": ("pyroscope", volumes.metastore)}.get(claim, ("object-storage", volumes.blocks))
    linux = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    return {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": volumes.storage_class,
        "claimRef": {"namespace": BACKEND_NAMESPACE, "name": f"{claim}-{owner}-0"},
        "local": {"path": f"{volumes.host_path}/{claim}"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [linux]}]}},
    }


def _table(found: Platform) -> dict[Key, Workload]:
    teams = [team.name for team in found.catalog.teams]
    return reviewed(found.settings, teams, len(found.catalog.services))


def _ours(manifests: Sequence[Manifest], kinds: Sequence[str]) -> Iterator[Manifest]:
    return (m for m in manifests if m.get("kind") in kinds and namespace(m) in NAMESPACES)


_Said = Callable[[Manifest, str], bool]


def _said(manifests: Sequence[Manifest]) -> _Said:
    """Whether a rule of `SAID_BY` finds something in an object. Each of these rules runs once, if at all."""
    from policies.rules import RULES  # noqa: PLC0415  this module is one of them

    found: dict[str, set[int]] = {}

    def blamed(rule: Rule) -> set[int]:
        if rule.id not in found:
            applicable = rule.applicable(manifests)
            batches = [applicable] if rule.scope == "stack" else [[m] for m in applicable]
            found[rule.id] = {id(v.manifest) for batch in batches if batch for v in rule.check(batch)}
        return found[rule.id]

    def said(manifest: Manifest, path: str) -> bool:
        ids = {rule for part, rules in SAID_BY.items() if part in path for rule in rules}
        return any(id(manifest) in blamed(rule) for rule in RULES if rule.id in ids)

    return said


def _told(manifest: Manifest, found: Iterator[Difference], said: _Said) -> Iterator[Violation]:
    for difference in found:
        if not said(manifest, difference.path):
            yield breaks(manifest, str(difference))


RULES: Final = (
    Rule(
        id="FP050",
        name="program-as-reviewed",
        why="A flag or a variable turns a profiler into a debugger and a gateway into an open door, and there are more "
        "of them than any list of bad ones knows.",
        remediation="Start each program as schemas/reviewed/programs.py has it: image, command, arguments, variables, "
        "ports, mounts. What is meant to change is changed there too, for review.",
        kinds=(*KINDS, SETTINGS),  # those of the rules in `SAID_BY` too
        check=_programs,
        scope="stack",
    ),
    Rule(
        id="FP051",
        name="kept-up-as-reviewed",
        why="One replica less, a probe that never fails, a volume of another class or a job that is suspended is seen "
        "on the night when it is needed.",
        remediation="Keep replicas, roll-out, placement, probes, resources, volumes, schedules and disruption budgets "
        "as schemas/reviewed/programs.py has them. What is meant to change is changed there too, for review.",
        kinds=(
            "ConfigMap",
            "NetworkPolicy",
            BUDGET,
            "PersistentVolume",
            "PersistentVolumeClaim",
            "PriorityClass",
            *WORKLOADS,
            SETTINGS,
        ),
        check=_kept_up,
        scope="stack",
    ),
)
