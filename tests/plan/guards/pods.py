"""Pods of this platform: whose they are, what they mount, what they run."""

from collections.abc import Iterator, Mapping
from typing import Any

from guards.stack import Guard, Stack
from policies.objects import (
    WORKLOADS,
    at,
    containers,
    is_agent,
    items,
    label,
    name,
    namespace,
    pod,
    template,
)
from policies.rule import Manifest
from schemas.allowed import NAMESPACES

APP = "app.kubernetes.io/name"
GATEWAY_CLIENT = "flameplane.dev/gateway-client"
LOWEST_ID = 10000  # below are the ids of people and system users on a node
TOKEN_SECONDS = 3600
# Tokens by the volume they are in: the audience they are good for; None is the API server itself.
TOKENS = {"gateway-token": "flameplane-gateway", "api-token": None}
# Who calls the API server; everybody else has no token for it.
API_CLIENTS = ("flameplane-node", "gateway", "flameplane-downsample")
# hostPath: rule FP002
VOLUMES = ("configMap", "emptyDir", "hostPath", "persistentVolumeClaim", "projected", "secret")
CONFIGURATION = ("configMap", "projected", "secret")


def pods_are_who_they_say(stack: Stack) -> Iterator[str]:
    """Labels open the network and name the service account: each workload has its own, and none has another's."""
    seen: set[tuple[str, Any]] = set()
    for manifest in stack.workloads:
        labels = at(template(manifest), "metadata", "labels") or {}
        app = labels.get(APP)
        if app != name(manifest) or (namespace(manifest), app) in seen:
            yield f"{label(manifest)} has pods labelled {app}"
        seen.add((namespace(manifest), app))
        if (GATEWAY_CLIENT in labels) != (manifest["kind"] == "CronJob"):
            yield f"{label(manifest)}: only jobs are clients of the gateway by {GATEWAY_CLIENT}"
        account = pod(manifest).get("serviceAccountName")
        own = app if namespace(manifest) in NAMESPACES else None  # the demo is an application: it needs no account
        if account != own or (own and not stack.has("ServiceAccount", namespace(manifest), own)):
            yield f"{label(manifest)} runs as service account {account}, not as its own"


def ids_are_explicit_and_of_nobody_else(stack: Stack) -> Iterator[str]:
    for container in (c for m in stack.workloads for c in containers(m)):
        loader = is_agent(container.manifest) and container.name == "loader"
        for field in ("runAsUser", "runAsGroup"):
            if not loader and not _is_own_id(container.effective(field)):
                yield f"{label(container.manifest)} {container.name}: {field} {container.effective(field)}"
    for manifest in stack.workloads:
        context = pod(manifest).get("securityContext") or {}
        yield from _pod_level(manifest, context)
        claims = items(at(manifest, "spec", "volumeClaimTemplates"))
        if not _is_own_id(context.get("fsGroup")) and (claims or context.get("fsGroup") is not None):
            yield f"{label(manifest)}: fsGroup {context.get('fsGroup')}"
        if context.get("supplementalGroups"):
            yield f"{label(manifest)}: supplementalGroups"
        for place in (context, *(c.security for c in containers(manifest))):
            for field in ("seLinuxOptions", "windowsOptions", "sysctls"):
                if place.get(field):
                    yield f"{label(manifest)}: {field}"


def _pod_level(manifest: Manifest, context: Mapping[str, Any]) -> Iterator[str]:
    """What a container that sets nothing would get; only the agent's pod, of which one part is root, leaves it open."""
    for field in ("runAsUser", "runAsGroup"):
        if not _is_own_id(context.get(field)) and (field in context or not is_agent(manifest)):
            yield f"{label(manifest)}: {field} {context.get(field)} for the whole pod"
    if context.get("runAsNonRoot") is not True and ("runAsNonRoot" in context or not is_agent(manifest)):
        yield f"{label(manifest)}: runAsNonRoot {context.get('runAsNonRoot')} for the whole pod"
    for container in containers(manifest):
        if container.security.get("runAsNonRoot") is not (container.name != "loader"):
            yield f"{label(manifest)} {container.name} leaves runAsNonRoot to the pod"


def _is_own_id(value: object) -> bool:
    return isinstance(value, int) and value >= LOWEST_ID


def volumes_are_of_known_kinds(stack: Stack) -> Iterator[str]:
    """Scratch space is bounded, a Secret is one of the settings' and shows single keys."""
    for manifest in stack.workloads:
        for volume in items(pod(manifest).get("volumes")):
            where = f"{label(manifest)} volume {volume['name']}"
            (kind,) = (k for k in volume if k != "name")
            if kind not in VOLUMES:
                yield f"{where} is {kind}"
            if kind == "emptyDir" and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{where} has no sizeLimit"
            claim = at(volume, "persistentVolumeClaim", "claimName")
            if claim and not stack.has("PersistentVolumeClaim", namespace(manifest), claim):
                yield f"{where} is claim {claim}, which is not declared"
            if kind == "secret" and (
                at(volume, "secret", "secretName") not in _secrets(stack) or not at(volume, "secret", "items")
            ):
                yield f"{where} shows Secret {at(volume, 'secret', 'secretName')}"


def environment_holds_no_other_secret(stack: Stack) -> Iterator[str]:
    for container in (c for m in stack.workloads for c in containers(m)):
        if container.body.get("envFrom"):
            yield f"{label(container.manifest)} {container.name} has envFrom"
        for variable in items(container.body.get("env")):
            secret = at(variable, "valueFrom", "secretKeyRef", "name")
            if secret and secret not in _secrets(stack):
                yield f"{label(container.manifest)} {container.name} reads Secret {secret}"


def _secrets(stack: Stack) -> tuple[str | None, ...]:
    settings = stack.settings
    backend, grafana = settings.backend, settings.correlation.grafana
    found = [backend.object_storage.credentials_secret, settings.regression.slack_secret]
    if backend.tls:
        names = backend.tls.secrets
        found += [names.server, names.client] if names else ["pyroscope-tls", "gateway-backend-tls"]
    if grafana.mode == "own":
        found.append(grafana.secret)
    return tuple(found)


def tokens_are_good_for_one_audience(stack: Stack) -> Iterator[str]:
    for manifest in stack.workloads:
        for volume in items(pod(manifest).get("volumes")):
            sources = items(at(volume, "projected", "sources"))
            tokens = [s["serviceAccountToken"] for s in sources if s.get("serviceAccountToken")]
            if any(s.get("secret") for s in sources):
                yield f"{label(manifest)} projects a Secret"
            for token in tokens:
                expected = TOKENS.get(volume["name"], "none")
                if token.get("audience") != expected or not 0 < token.get("expirationSeconds", 10**9) <= TOKEN_SECONDS:
                    yield f"{label(manifest)} has a token in {volume['name']}: {dict(token)}"
                if expected is None and name(manifest) not in API_CLIENTS:
                    yield f"{label(manifest)} has a token for the API server"


def configuration_is_read_only(stack: Stack) -> Iterator[str]:
    for manifest in stack.workloads:
        kinds = {v["name"]: next(k for k in v if k != "name") for v in items(pod(manifest).get("volumes"))}
        for container in containers(manifest):
            for mount in items(container.body.get("volumeMounts")):
                if kinds.get(mount["name"]) in CONFIGURATION and mount.get("readOnly") is not True:
                    yield f"{label(manifest)} {container.name} may write {mount['mountPath']}"
                if mount.get("mountPropagation"):
                    yield f"{label(manifest)} {container.name} propagates mounts of {mount['mountPath']}"


def containers_are_limited(stack: Stack) -> Iterator[str]:
    for container in (c for m in stack.workloads for c in containers(m)):
        if not {"cpu", "memory"} <= (at(container.body, "resources", "limits") or {}).keys():
            yield f"{label(container.manifest)} {container.name} has no limits"


def images_are_those_of_the_lock(stack: Stack) -> Iterator[str]:
    known = {stack.lock.reference(image, stack.settings.images.registry) for image in stack.lock.images}
    for container in (c for m in stack.workloads for c in containers(m)):
        if container.body.get("image") not in known:
            yield f"{label(container.manifest)} {container.name} runs {container.body.get('image')}"


def init_containers_end(stack: Stack) -> Iterator[str]:
    for container in (c for m in stack.workloads for c in containers(m)):
        if container.group == "initContainers" and container.body.get("restartPolicy"):
            yield f"{label(container.manifest)} {container.name} is a sidecar"


def jobs_do_not_pile_up(stack: Stack) -> Iterator[str]:
    for manifest in stack.of("CronJob"):
        if manifest["spec"].get("concurrencyPolicy") != "Forbid":
            yield f"{label(manifest)}: concurrencyPolicy {manifest['spec'].get('concurrencyPolicy')}"


def state_is_on_claims(stack: Stack) -> Iterator[str]:
    """Every StatefulSet keeps what it writes on a claim that is mounted, and the claim outlives it.

    Pyroscope's segment writer is one for its names alone and writes nowhere: it has no volume that could be written.
    """
    for manifest in stack.of("StatefulSet"):
        claims = {name(t) for t in items(at(manifest, "spec", "volumeClaimTemplates"))}
        mounted = {m["name"] for c in containers(manifest) for m in items(c.body.get("volumeMounts"))}
        nowhere = name(manifest) == "pyroscope-segment-writer" and not _writable(manifest)
        if not claims & mounted and not nowhere:
            yield f"{label(manifest)} keeps nothing on a claim"
        for when, what in (at(manifest, "spec", "persistentVolumeClaimRetentionPolicy") or {}).items():
            if what != "Retain":
                yield f"{label(manifest)}: {when} {what}"


def _writable(manifest: Manifest) -> list[str]:
    mounts = [m for c in containers(manifest) for m in items(c.body.get("volumeMounts"))]
    return [m["mountPath"] for m in mounts if m.get("readOnly") is not True]


def priority_evicts_nobody(stack: Stack) -> Iterator[str]:
    for manifest in stack.of("PriorityClass"):
        if manifest.get("preemptionPolicy") != "Never" or manifest.get("globalDefault") or manifest["value"] > 100_000:
            yield f"{label(manifest)}: value {manifest['value']}, preemptionPolicy {manifest.get('preemptionPolicy')}"


GUARDS = (
    Guard(pods_are_who_they_say, (*WORKLOADS, "ServiceAccount")),
    Guard(ids_are_explicit_and_of_nobody_else, WORKLOADS),
    Guard(volumes_are_of_known_kinds, WORKLOADS),
    Guard(environment_holds_no_other_secret, WORKLOADS),
    Guard(tokens_are_good_for_one_audience, WORKLOADS),
    Guard(configuration_is_read_only, WORKLOADS),
    Guard(containers_are_limited, WORKLOADS),
    Guard(images_are_those_of_the_lock, WORKLOADS),
    Guard(init_containers_end, WORKLOADS),
    Guard(jobs_do_not_pile_up, ("CronJob",)),
    Guard(state_is_on_claims, ("StatefulSet",)),
    Guard(priority_evicts_nobody, ("PriorityClass",)),
)
