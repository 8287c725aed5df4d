"""The workloads of an environment beside the table of programs (schemas/reviewed/programs.py)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from policies.compared import Difference, differences
from policies.objects import Container, at, containers, items, name, namespace, pod
from policies.rule import Manifest
from policies.rules.images import is_open
from schemas.reviewed.forms import Text, quantity
from schemas.reviewed.program_forms import ELSEWHERE, Program, Workload
from schemas.reviewed.programs import Key, workloads
from schemas.settings import Settings

APP: Final = "app.kubernetes.io/name"
# What of a pod is compared here; the rest are rules about pods (policies/rules/workloads.py).
POD_FIELDS: Final = ("affinity", "restartPolicy", "terminationGracePeriodSeconds", "topologySpreadConstraints")
MOUNT: Final = ("name", "mountPath", "subPath")
PROBES: Final = ("readinessProbe", "livenessProbe", "startupProbe")


@lru_cache(maxsize=8)
def _table(settings: str, teams: tuple[str, ...], services: int) -> dict[Key, Workload]:
    return workloads(Settings.model_validate_json(settings), teams, services)


def reviewed(settings: Settings, teams: Sequence[str], services: int) -> dict[Key, Workload]:
    """All that the environment runs, by namespace and name."""
    return _table(settings.model_dump_json(by_alias=True), tuple(teams), services)


def key(manifest: Manifest) -> Key:
    """Namespace and name."""
    return namespace(manifest), name(manifest)


def program(manifest: Manifest, workload: Workload) -> Iterator[Difference]:
    """How containers are started: which there are, image, command, arguments, variables, ports, mounts."""
    found = {(c.group, c.name): c for c in containers(manifest)}
    wanted = {("containers", n): p for n, p in workload.containers.items()}
    wanted |= {("initContainers", n): p for n, p in workload.init.items()}
    for group, called in sorted(wanted.keys() - found.keys()):
        yield Difference(f"{group}[{called}]", "", "as in schemas/reviewed/programs.py")
    for (group, called), container in found.items():
        if (row := wanted.get((group, called))) is None:
            yield Difference(f"{group}[{called}]", str(container.body.get("image") or "?"), "")
        else:
            yield from _started(container, row)


def _started(container: Container, row: Program) -> Iterator[Difference]:
    body = container.body
    found: dict[str, Any] = {
        "image": body.get("image"),
        "command": items(body.get("command")),
        "args": items(body.get("args")),
        "envFrom": items(body.get("envFrom")),
        "workingDir": body.get("workingDir"),
        "ports": items(body.get("ports")),
        "volumeMounts": [
            {k: m.get(k) for k in ("name", "mountPath", "subPath")} for m in items(body.get("volumeMounts"))
        ],
    }
    wanted: dict[str, Any] = {
        "image": Text(rf"(.*/)?{row.image}(@.*|:[^/]*)?", f"image {row.image} of images.lock"),
        "command": list(row.command),
        "args": list(row.arguments),
        "envFrom": [],
        "workingDir": None,
        "ports": [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in row.ports.items()],
        "volumeMounts": [{"name": n, "mountPath": m, "subPath": None} for n, m in row.mounts.items()],
    }
    if row.environment is not ELSEWHERE:
        found["env"] = items(body.get("env"))
        wanted["env"] = [
            {"name": n, **v} if isinstance(v, Mapping) else {"name": n, "value": v} for n, v in row.environment.items()
        ]
    yield from differences(found, wanted, f"containers[{container.name}]")
    yield from _collector(container)


def _collector(container: Container) -> Iterator[Difference]:
    """GOMEMLIMIT above the limit is none, and far below it the collector does nothing else."""
    for variable in items(container.body.get("env")):
        if variable.get("name") == "GOMEMLIMIT":
            aim = quantity(str(variable.get("value") or "").removesuffix("B"))
            limit = quantity(at(container.body, "resources", "limits", "memory"))
            if aim and limit and not limit / 2 <= aim <= limit:
                path = f"containers[{container.name}].env[GOMEMLIMIT].value"
                yield Difference(path, str(variable.get("value")), "between half and all of the memory limit")


def upkeep(manifest: Manifest, workload: Workload) -> Iterator[Difference]:
    """What keeps it up: replicas, roll-out, placement, volumes, schedule, probes and resources of its containers."""
    spec = {k: v for k, v in (manifest.get("spec") or {}).items() if k not in ("template", "volumeClaimTemplates")}
    wanted = dict(workload.spec)
    if manifest.get("kind") == "CronJob":
        job = at(manifest, "spec", "jobTemplate", "spec") or {}
        spec["jobTemplate"] = {"spec": {k: v for k, v in job.items() if k != "template"}}
        wanted["suspend"] = any(is_open(str(c.body.get("image"))) for c in containers(manifest))  # else: never starts
        spec["suspend"] = bool(spec.get("suspend"))
    else:
        wanted["selector"] = {"matchLabels": {APP: name(manifest)}}
    claims = wanted.pop("volumeClaimTemplates", [])
    yield from differences(spec, wanted, "spec")
    found = [{"name": name(c), **(c.get("spec") or {})} for c in items(at(manifest, "spec", "volumeClaimTemplates"))]
    yield from differences(found, claims, "volumeClaimTemplates")
    here = {field: pod(manifest).get(field) for field in POD_FIELDS if pod(manifest).get(field) is not None}
    yield from differences(here, workload.pod, "pod")
    rows = {**workload.containers, **workload.init}
    for container in containers(manifest):
        if row := rows.get(container.name):
            yield from _kept(container, row)


def _kept(container: Container, row: Program) -> Iterator[Difference]:
    cpu, memory, cpu_limit, memory_limit = row.size
    wanted: dict[str, Any] = dict(zip(PROBES, (row.ready, row.alive, row.started), strict=True))
    wanted["resources"] = {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": cpu_limit, "memory": memory_limit},
    }
    found = {field: container.body.get(field) for field in wanted}
    yield from differences(found, wanted, f"containers[{container.name}]")
