"""What pods of the platform ask for beyond what was reviewed (schemas/reviewed/pods.py): fields, volumes, metadata."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from policies.objects import Container, at, breaks, containers, is_agent, items, namespace, pod, template, whole
from policies.rule import Manifest, Violation
from schemas.allowed import AGENT_UID, NAMESPACES, OBJECT_LABELS, WAIT_ANNOTATION
from schemas.reviewed import pods as reviewed
from schemas.reviewed.rights import PART_OF

# Fields that rules have words of their own for (workloads.py, agent.py).
SAID_POD: Final = ("hostPID", "hostNetwork", "hostIPC", "shareProcessNamespace", "ephemeralContainers")
SAID_POD_SECURITY: Final = ("sysctls", "seLinuxOptions")
SAID_SECURITY: Final = ("procMount", "seLinuxOptions")
IDS: Final = ("runAsUser", "runAsGroup", "fsGroup")
OWN_CONTAINERS: Final = ("loader", "agent")  # of the agent: rule FP002 knows their users


def beyond(manifest: Manifest) -> Iterator[Violation]:
    """What a workload of the platform, or of its demo, asks for and nobody reviewed."""
    inside = namespace(manifest) in NAMESPACES
    if not inside and (at(manifest, "metadata", "labels") or {}).get(PART_OF[0]) != PART_OF[1]:
        return
    yield from _pod(manifest)
    yield from _volumes(manifest)
    for container in containers(manifest):
        yield from _container(container)
    if inside:
        yield from metadata(manifest, (WAIT_ANNOTATION, *_own(manifest)), labels=None)
        labels, annotations = (at(template(manifest), "metadata", of) or {} for of in ("labels", "annotations"))
        for what, found, valid in (
            ("label", labels, reviewed.POD_LABELS),
            ("annotation", annotations, reviewed.POD_ANNOTATIONS),
        ):
            for key in (k for k in found if k not in valid):
                yield breaks(manifest, f"gives its pods the {what} {key}, by which a controller may change them")


def metadata(
    manifest: Manifest, annotations: Iterable[str] = (), labels: Iterable[str] | None = ()
) -> Iterator[Violation]:
    """Labels and annotations of an object: controllers do things by them. ``labels`` None: any label is harmless."""
    for key in at(manifest, "metadata", "labels") or {}:
        if labels is not None and key not in (*OBJECT_LABELS, *labels):
            yield breaks(manifest, f"has the label {key}, by which a controller may change what it does")
    for key in at(manifest, "metadata", "annotations") or {}:
        if key not in tuple(annotations):
            yield breaks(manifest, f"has the annotation {key}, by which a controller may change what it does")


def _own(manifest: Manifest) -> tuple[str, ...]:
    """A bare Pod's own annotations are those of its pods."""
    return reviewed.POD_ANNOTATIONS if manifest.get("kind") == "Pod" else ()


def _pod(manifest: Manifest) -> Iterator[Violation]:
    spec = pod(manifest)
    for field in (f for f in spec if f not in (*reviewed.POD_FIELDS, *SAID_POD)):
        if (value := spec[field]) is None:
            continue
        if (field, value) == ("hostUsers", False) and not is_agent(manifest):
            continue  # a user namespace of its own: less than the default
        if not is_agent(manifest) or field not in reviewed.AGENT_POD_FIELDS:
            yield breaks(manifest, f"sets {field} of its pods; valid: {', '.join(reviewed.POD_FIELDS)}")
        elif plain(value) != (wanted := reviewed.AGENT_POD_FIELDS[field]):
            yield breaks(manifest, f"has {field} {plain(value)}; it must be {wanted}")
    if spec.get("enableServiceLinks") is True:
        yield breaks(manifest, "has enableServiceLinks: true: every Service of the namespace into the environment")
    security = spec.get("securityContext") or {}
    for field in (f for f in security if f not in (*reviewed.POD_SECURITY, *SAID_POD_SECURITY)):
        # The agent's own group is rule FP002's.
        if not (
            (field == "supplementalGroups" and any(g in (0, AGENT_UID) for g in items(security[field])))
            or at(security, field, "hostProcess")  # rule FP015's
        ):
            yield breaks(
                manifest, f"sets securityContext.{field} of its pods; valid: {', '.join(reviewed.POD_SECURITY)}"
            )
    for field, value in _strange_ids(security):
        yield breaks(manifest, f"has {field} {value!r}; valid: a number from {reviewed.LOWEST_ID}")


def _strange_ids(security: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in IDS:
        value = whole(security.get(field))
        if value in (None, 0):  # 0 is root, and said so
            continue
        if isinstance(value, str | bool) or value < reviewed.LOWEST_ID:
            yield field, value


def _volumes(manifest: Manifest) -> Iterator[Violation]:
    for volume in items(pod(manifest).get("volumes")):
        called, sources = volume.get("name"), [key for key in volume if key != "name"]
        for source in sources:
            if source not in reviewed.VOLUME_SOURCES:
                valid = ", ".join(reviewed.VOLUME_SOURCES)
                yield breaks(manifest, f"has the volume {called} from {source}; valid: {valid}")
        for one in items(at(volume, "projected", "sources")):
            for source in (s for s in one if s not in reviewed.PROJECTED_SOURCES):
                valid = ", ".join(reviewed.PROJECTED_SOURCES)
                yield breaks(manifest, f"has the volume {called} projected from {source}; valid: {valid}")


def _container(container: Container) -> Iterator[Violation]:
    of_agent = is_agent(container.manifest) and container.name in OWN_CONTAINERS
    for field in (f for f in container.body if f not in reviewed.CONTAINER_FIELDS):  # a known one may be unknown yet
        said = field == "lifecycle" or (of_agent and field == "restartPolicy")
        if container.body[field] is not None and not said:
            yield container.breaks(f"sets {field}; valid: {', '.join(reviewed.CONTAINER_FIELDS)}")
    for field in (f for f in container.security if f not in (*reviewed.CONTAINER_SECURITY, *SAID_SECURITY)):
        if at(container.security, field, "hostProcess"):
            continue  # rule FP015's
        yield container.breaks(f"sets securityContext.{field}; valid: {', '.join(reviewed.CONTAINER_SECURITY)}")
    for field, value in () if of_agent else _strange_ids(container.security):
        yield container.breaks(f"has {field} {value!r}; valid: a number from {reviewed.LOWEST_ID}")
    for mount in items(container.body.get("volumeMounts")):
        for field in (f for f in mount if f not in reviewed.MOUNT_FIELDS and mount[f] is not None):
            yield container.breaks(
                f"mounts {mount.get('name')} with {field}; valid: {', '.join(reviewed.MOUNT_FIELDS)}"
            )
    for port in items(container.body.get("ports")):
        for field in (f for f in port if f not in reviewed.PORT_FIELDS):
            yield container.breaks(f"has a port with {field}; valid: {', '.join(reviewed.PORT_FIELDS)}")
    yield from _confined(container)


def _confined(container: Container) -> Iterator[Violation]:
    """Profiles of the node's own files are the agent's alone."""
    seccomp = container.effective("seccompProfile") or {}
    agent = is_agent(container.manifest) and container.name == "agent"
    if seccomp.get("type") == "Localhost":
        found = seccomp.get("localhostProfile")
        # What is outside the loader's folder is rule FP002's.
        if not agent:
            yield container.breaks(f"has the seccomp profile {found} of the node; only the agent has one")
        elif str(found).startswith("flameplane/") and found != reviewed.AGENT_SECCOMP:
            yield container.breaks(f"has the seccomp profile {found}; it must be {reviewed.AGENT_SECCOMP}")
    apparmor = (container.effective("appArmorProfile") or {}).get("type")
    if apparmor not in (None, "Unconfined", *reviewed.APPARMOR_TYPES):
        yield container.breaks(f"has AppArmor profile {apparmor}; valid: {', '.join(reviewed.APPARMOR_TYPES)}")


def plain(value: Any) -> Any:
    """A value for comparing: over Pulumi's wire lists and maps are proxies, and numbers doubles."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return whole(value)
