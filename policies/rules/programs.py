"""Programs as they were reviewed: how they are started, and what keeps them up."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from policies.backstop import Backstop, Suspect
from policies.compare import Difference, differences, present
from policies.context import Platform, platform
from policies.objects import WORKLOADS, at, breaks, name, namespace
from policies.programs import APP, key, program, reviewed, upkeep
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE, KINDS, NAMESPACES
from schemas.reviewed.elsewhere import PRIORITY_CLASS
from schemas.reviewed.forms import ANY, Maybe
from schemas.reviewed.program_forms import Workload
from schemas.reviewed.programs import Key

BUDGET: Final = "PodDisruptionBudget"
# They say in words of their own what is wrong with a field.
SPECIFIC: Final = (
    *("FP001", "FP002", "FP003", "FP004", "FP005", "FP007", "FP011", "FP012", "FP013", "FP015", "FP019", "FP033"),
    *("FP034", "FP035", "FP036", "FP037", "FP038", "FP039", "FP044", "FP048", "FP049"),
)


def _programs(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    yield from _specific(manifests).left(_unlike(manifests, found))


def _unlike(manifests: Sequence[Manifest], found: Platform) -> Iterator[Suspect]:
    table, registry = _table(found), found.settings.images.registry
    for manifest in _ours(manifests, WORKLOADS):
        row = table.get(key(manifest))
        if row is None or row.kind != manifest.get("kind"):
            yield Suspect(breaks(manifest, "is no program of this environment that was reviewed"), manifest, None)
        else:
            yield from _suspects(manifest, program(manifest, row, registry))


def _kept_up(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    table = _table(found)
    workloads = {key(m): m for m in _ours(manifests, WORKLOADS)}
    suspects: list[Suspect] = []
    for where, row in table.items():
        manifest = workloads.get(where)
        if manifest is None:
            yield Violation(f"{row.kind}/{where[1]} in {where[0]} is not declared: nothing does its work")
        elif row.kind == manifest.get("kind"):
            suspects += _suspects(manifest, upkeep(manifest, row))
    suspects += [*_budgets(manifests, table, workloads), *_classes(manifests, found)]
    yield from _specific(manifests).left(suspects)


def _budgets(
    manifests: Sequence[Manifest], table: dict[Key, Workload], workloads: dict[Key, Manifest]
) -> Iterator[Suspect]:
    budgets = {key(m): m for m in _ours(manifests, (BUDGET,))}
    for where, manifest in budgets.items():
        row = table.get(where)
        if row is None or not row.budget:
            how = "belongs to no program that was reviewed: it may hold up every drain of a node"
            yield Suspect(breaks(manifest, how), manifest, None)
            continue
        replicas = at(workloads.get(where), "spec", "replicas") or 1
        wanted = {
            "maxUnavailable": Maybe(1) if replicas > 1 else 1,  # of several pods the other form will do (rule FP037)
            "minAvailable": Maybe(ANY) if replicas > 1 else None,
            "selector": {"matchLabels": {APP: where[1]}},
            "unhealthyPodEvictionPolicy": Maybe("AlwaysAllow"),
        }
        yield from _parts(manifest, {"spec": wanted})
    for where, row in table.items():
        if row.budget and where not in budgets and where in workloads:
            how = f"has no PodDisruptionBudget {where[1]}: a drain may take all its pods"
            spec = {"maxUnavailable": 1, "selector": {"matchLabels": {APP: where[1]}}}
            mended = {"kind": BUDGET, "metadata": {"namespace": where[0], "name": where[1]}, "spec": spec}
            yield Suspect(breaks(workloads[where], how), None, mended)


def _classes(manifests: Sequence[Manifest], found: Platform) -> Iterator[Suspect]:
    """The agents' priority, and volumes that are declared by themselves."""
    grafana, storage_class = found.settings.correlation.grafana, found.settings.backend.volumes.storage_class
    # Before what is profiled, and never in its place: a profiler evicts nobody.
    agents = {"value": 100_000, "globalDefault": Maybe(False), "description": Maybe(ANY), "preemptionPolicy": "Never"}
    claims: dict[Key, Any] = {}
    if size := getattr(grafana, "storage", None):
        storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        claims[(ACCESS_NAMESPACE, "grafana")] = {"spec": {**storage, "storageClassName": storage_class}}
    for manifest in manifests:
        kind = manifest.get("kind")
        if kind == "PriorityClass" and name(manifest) == PRIORITY_CLASS:  # others: rule FP057
            yield from _parts(manifest, agents)
        elif kind == "PersistentVolumeClaim" and namespace(manifest) in NAMESPACES:
            if (wanted := claims.pop(key(manifest), None)) is None:
                yield Suspect(breaks(manifest, "belongs to no program that was reviewed"), manifest, None)
            else:
                yield from _parts(manifest, wanted)
        elif kind == "PersistentVolume" and name(manifest).startswith("flameplane-"):
            yield from _parts(manifest, {"spec": _static(name(manifest).removeprefix("flameplane-"), found)})
    if not any(m.get("kind") == "PriorityClass" and name(m) == PRIORITY_CLASS for m in manifests):
        yield Suspect(
            Violation(f"no PriorityClass {PRIORITY_CLASS}: the agent, which names it, is refused"), None, None
        )
    for where, wanted in claims.items():
        mended = {"kind": "PersistentVolumeClaim", "metadata": {"namespace": where[0], "name": where[1]}, **wanted}
        how = f"no PersistentVolumeClaim {where[1]} in {where[0]}: its program could not start"
        yield Suspect(Violation(how), None, mended)


def _parts(manifest: Manifest, wanted: dict[str, Any]) -> Iterator[Suspect]:
    """Where the parts of an object, beside what it is called, are not as reviewed."""
    whole = {k: v for k, v in manifest.items() if k in ("apiVersion", "kind", "metadata")}
    body = present({k: v for k, v in manifest.items() if k not in whole})
    for one in differences(body, wanted):
        yield Suspect(breaks(manifest, str(one)), manifest, {**whole, **one.mended})


def _static(claim: str, found: Platform) -> dict[str, Any]:
    volumes = found.settings.backend.volumes
    owners = {"profiles": ("devstore", volumes.metastore), "metastore": ("pyroscope", volumes.metastore)}
    owner, size = owners.get(claim, ("object-storage", volumes.blocks))
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


def _specific(manifests: Sequence[Manifest]) -> Backstop:
    from policies.rules import RULES  # noqa: PLC0415  this module is one of them

    return Backstop(manifests, [rule for rule in RULES if rule.id in SPECIFIC])


def _suspects(manifest: Manifest, found: Iterator[Difference]) -> Iterator[Suspect]:
    return (Suspect(breaks(manifest, str(one)), manifest, one.mended) for one in found)


RULES: Final = (
    Rule(
        id="FP050",
        name="program-as-reviewed",
        why="A flag or a variable turns a profiler into a debugger and a gateway into an open door, and there are more "
        "of them than any list of bad ones knows.",
        remediation="Start each program as schemas/reviewed/programs.py has it: image, command, arguments, variables, "
        "ports, mounts. What is meant to change is changed there too, for review.",
        kinds=(*KINDS, SETTINGS),  # those of the specific rules too
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
        kinds=(*KINDS, SETTINGS),
        check=_kept_up,
        scope="stack",
    ),
)
