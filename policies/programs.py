"""The workloads of an environment beside the table of programs (schemas/reviewed/programs.py)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from policies.compare import Difference, differences, present, put
from policies.objects import POD_PATHS, Container, at, containers, items, name, namespace, pod
from policies.rule import Manifest
from policies.rules.images import digest, is_open
from schemas.reviewed.forms import ANY, Maybe, Text, example, quantity
from schemas.reviewed.pods import AGENT_POD_FIELDS
from schemas.reviewed.program_forms import ELSEWHERE, WRITTEN, Program, Workload
from schemas.reviewed.programs import Key, workloads
from schemas.settings import Settings

APP: Final = "app.kubernetes.io/name"
# What of a pod is compared here; the rest are rules about pods (policies/rules/workloads.py).
POD_FIELDS: Final = (
    *("affinity", "restartPolicy", "terminationGracePeriodSeconds", "topologySpreadConstraints"),
    *AGENT_POD_FIELDS,
)
USER_FIELDS: Final = ("securityContext", "enableServiceLinks")
# Of a mount, what others judge (policies/rules/workloads.py).
MOUNT_REST: Final = ("recursiveReadOnly", "mountPropagation", "subPathExpr")
TEMPLATES: Final = "volumeClaimTemplates"
MOUNTS: Final = "volumeMounts"
MOUNT: Final = re.compile(rf"\.{MOUNTS}\[([^\]]+)\]")  # as paths of differences have it
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


def program(manifest: Manifest, workload: Workload, registry: str) -> Iterator[Difference]:
    """How containers are started: which there are, image, command, arguments, variables, ports, mounts."""
    found = {(c.group, c.name): c for c in containers(manifest)}
    wanted = {("containers", n): p for n, p in workload.containers.items()}
    wanted |= {("initContainers", n): p for n, p in workload.init.items()}
    for group, called in sorted(wanted.keys() - found.keys()):
        row, steps = wanted[(group, called)], (*POD_PATHS[manifest["kind"]], "spec", group)
        new = {"name": called, **example(_start(row, image_of(row, None, registry))), **example(_upkeep(row))}
        mended = put(manifest, steps, [*items(pod(manifest).get(group)), new])
        yield Difference(f"{group}[{called}]", f"lacks {group}[{called}] (schemas/reviewed/programs.py)", mended)
    for (group, called), container in found.items():
        if (known := wanted.get((group, called))) is None:
            how = f"has {group}[{called}] {container.body.get('image') or '?'}, which was never reviewed; leave it out"
            yield Difference(f"{group}[{called}]", how, with_body(container, None))
        else:
            yield from _started(container, known, registry)
    yield from _pod_fields(manifest, USER_FIELDS, {"securityContext": workload.user, "enableServiceLinks": False})


def with_body(container: Container, body: Any) -> Manifest:
    """The workload with another body of one container, or without it."""
    others = (c.body for c in containers(container.manifest) if c.group == container.group)
    bodies = [body if c is container.body else c for c in others]
    steps = (*POD_PATHS[container.manifest["kind"]], "spec", container.group)
    return put(container.manifest, steps, [b for b in bodies if b is not None])


def image_of(row: Program, found: str | None, registry: str) -> str:
    """A reference to the reviewed image that rule FP005 has no more to say of than of the one that was found."""
    repository = f"{registry}/{row.image}"
    if registry.startswith("localhost"):
        return f"{repository}:local"
    return f"{repository}:not-locked" if found and is_open(found) else f"{repository}@{digest(row.image)}"


def _start(row: Program, image: str) -> dict[str, Any]:
    """The fields that say how a container is started."""
    mount = {"subPath": None, **dict.fromkeys(MOUNT_REST, Maybe(ANY))}
    written = {name: Maybe(False) if name in WRITTEN else True for name in row.mounts}
    wanted: dict[str, Any] = {
        "image": Text(rf"(.*/)?{row.image}(@.*|:[^/]*)?", f"image {row.image} of images.lock", image),
        "command": list(row.command),
        "args": list(row.arguments),
        "envFrom": [],
        "workingDir": None,
        "ports": [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in row.ports.items()],
        MOUNTS: [{"name": n, "mountPath": m, "readOnly": written[n], **mount} for n, m in row.mounts.items()],
        "imagePullPolicy": "Never" if image.startswith("localhost/") else "IfNotPresent",
        "securityContext": Maybe(row.security),  # where there is none at all, rule FP003 says so
    }
    if row.environment is not ELSEWHERE:
        wanted["env"] = [
            {"name": n, **v} if isinstance(v, Mapping) else {"name": n, "value": v} for n, v in row.environment.items()
        ]
    return wanted


def _upkeep(row: Program) -> dict[str, Any]:
    """The fields of a container that say how it is kept up."""
    cpu, memory, cpu_limit, memory_limit = row.size
    wanted: dict[str, Any] = dict(zip(PROBES, (row.ready, row.alive, row.started), strict=True))
    wanted["resources"] = {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": cpu_limit, "memory": memory_limit},
    }
    return wanted


def _started(container: Container, row: Program, registry: str) -> Iterator[Difference]:
    image = image_of(row, str(container.body.get("image") or ""), registry)
    yield from _fields(container, _start(row, image))
    if not isinstance((row.environment or {}).get("GOMEMLIMIT"), str):  # else compared as a text
        yield from _collector(container)


def _fields(container: Container, wanted: Mapping[str, Any]) -> Iterator[Difference]:
    """Where fields of a container are not as reviewed; others are not looked at."""
    found = present({field: container.body.get(field) for field in wanted})
    for difference in differences(found, wanted, f"containers[{container.name}]"):
        body = {k: v for k, v in container.body.items() if k not in wanted}
        mended = with_body(container, body | difference.mended)
        if (mount := MOUNT.search(difference.path)) and mount[1] not in {m["name"] for m in wanted[MOUNTS]}:
            mended = _without_volume(mended, mount[1])  # of the volume itself rule FP049 may have spoken
        yield replace(difference, mended=mended)


def _without_volume(manifest: Manifest, called: str) -> Manifest:
    left = [v for v in items(pod(manifest).get("volumes")) if v.get("name") != called]
    return put(manifest, (*POD_PATHS[manifest["kind"]], "spec", "volumes"), left)


def _collector(container: Container) -> Iterator[Difference]:
    """GOMEMLIMIT above the limit is none, and far below it the collector does nothing else."""
    variables = items(container.body.get("env"))
    for variable in variables:
        if variable.get("name") == "GOMEMLIMIT":
            aim = quantity(str(variable.get("value") or "").removesuffix("B"))
            limit = quantity(at(container.body, "resources", "limits", "memory"))
            if aim and limit and not limit / 2 <= aim <= limit:
                path = f"containers[{container.name}].env[GOMEMLIMIT].value"
                how = f"has {path} {variable.get('value')}; it must be between half and all of the memory limit"
                rest = [v for v in variables if v is not variable]
                yield Difference(path, how, with_body(container, {**container.body, "env": rest}))


def upkeep(manifest: Manifest, workload: Workload) -> Iterator[Difference]:
    """What keeps it up: replicas, roll-out, placement, volumes, schedule, probes and resources of its containers."""
    yield from _spec(manifest, dict(workload.spec))
    yield from _pod_fields(manifest, POD_FIELDS, workload.pod)
    rows = {**workload.containers, **workload.init}
    for container in containers(manifest):
        if row := rows.get(container.name):
            yield from _fields(container, _upkeep(row))


def _pod_fields(manifest: Manifest, fields: Sequence[str], wanted: Mapping[str, Any]) -> Iterator[Difference]:
    """Where fields of the pod are not as reviewed; others are not looked at."""
    for difference in differences(present({field: pod(manifest).get(field) for field in fields}), wanted, "pod"):
        rest = {k: v for k, v in pod(manifest).items() if k not in fields}
        mended = put(manifest, (*POD_PATHS[manifest["kind"]], "spec"), rest | difference.mended)
        yield replace(difference, mended=mended)


def _spec(manifest: Manifest, wanted: dict[str, Any]) -> Iterator[Difference]:
    whole = manifest.get("spec") or {}
    spec = {k: v for k, v in whole.items() if k not in ("template", TEMPLATES)}
    if manifest.get("kind") == "CronJob":
        job = at(manifest, "spec", "jobTemplate", "spec") or {}
        spec["jobTemplate"] = {"spec": {k: v for k, v in job.items() if k != "template"}}
        wanted["suspend"] = any(is_open(str(c.body.get("image"))) for c in containers(manifest))  # else: never starts
        spec["suspend"] = bool(spec.get("suspend"))
    else:
        wanted["selector"] = {"matchLabels": {APP: name(manifest)}}
    claims = wanted.pop(TEMPLATES, [])
    for difference in differences(present(spec), wanted, "spec"):
        mended = {**{k: whole[k] for k in ("template", TEMPLATES) if k in whole}, **difference.mended}
        if manifest.get("kind") == "CronJob":
            mended = put(mended, ("jobTemplate", "spec", "template"), at(whole, "jobTemplate", "spec", "template"))
        yield replace(difference, mended=put(manifest, ("spec",), mended))
    found = [{"name": name(c), **(c.get("spec") or {})} for c in items(whole.get(TEMPLATES))]
    for difference in differences(present(found), claims, TEMPLATES):
        listed = [
            {"metadata": {"name": c.get("name")}, "spec": {k: v for k, v in c.items() if k != "name"}}
            for c in difference.mended
        ]
        yield replace(difference, mended=put(manifest, ("spec", TEMPLATES), listed))
