"""The node agent: who may hold which capability, and what its loader may do."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.objects import WORKLOADS, Container, at, breaks, containers, is_agent, items, pod, texts, whole
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import AGENT_CAPABILITIES, AGENT_HOST_PATHS, AGENT_NAMESPACE, AGENT_UID

LOADER: Final = "loader"
AGENT: Final = "agent"
PINS, SECCOMP = AGENT_HOST_PATHS
# Which container mounts which folder of the node. The pins guard themselves by uid, gid and mode; the kubelet's seccomp
# folder is trusted by every pod of the node, so the loader alone writes there.
MOUNTS: Final = {PINS: (LOADER, AGENT), SECCOMP: (LOADER,)}


def _capabilities(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for container in (c for m in manifests for c in containers(m)):
        if not container.security:
            continue  # rule FP003 says that there is none
        capabilities = container.security.get("capabilities") or {}
        added = sorted(c.upper().removeprefix("CAP_") for c in texts(capabilities.get("add")))
        agent = is_agent(container.manifest)
        allowed = AGENT_CAPABILITIES.get(container.name, ()) if agent else ()
        if "ALL" not in (c.upper() for c in texts(capabilities.get("drop"))):
            yield container.breaks("keeps the runtime's default capabilities: drop [ALL] is missing")
        if added != sorted(allowed):
            want = ", ".join(allowed) or "none"
            yield container.breaks(f"adds capabilities {', '.join(added) or 'none'}; it must hold exactly {want}")
        if agent:
            yield from _identity(container)


def _identity(container: Container) -> Iterator[Violation]:
    """The agent's gid opens the pins, so the agent has it and the receiver, which parses foreign data, has not."""
    user, group = container.effective("runAsUser"), container.effective("runAsGroup")
    if container.name == AGENT and (user, group) != (AGENT_UID, AGENT_UID):
        yield container.breaks(f"runs as {whole(user)}:{whole(group)}, not as the agent's own {AGENT_UID}:{AGENT_UID}")
    shared = container.pod.get("securityContext") or {}
    groups = [group, shared.get("fsGroup"), *items(shared.get("supplementalGroups"))]
    if container.name not in (LOADER, AGENT) and AGENT_UID in (user, *groups):
        yield container.breaks(f"runs with uid or gid {AGENT_UID}, which opens the agent's BPF pins")


def _loader(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        yield from _node_folders(manifest)
        if is_agent(manifest):
            yield from _agent_pod(manifest)


def _agent_pod(manifest: Manifest) -> Iterator[Violation]:
    names = [c.name for c in containers(manifest)]
    if AGENT in names and LOADER not in names:
        yield breaks(manifest, f"has no init container {LOADER}: the agent would need its capabilities itself")
    for container in (c for c in containers(manifest) if c.security):  # rule FP003 says where there is none
        if container.name == LOADER:
            yield from _loader_container(container)
        if container.name == AGENT:
            yield from _agent_container(container)
    if surge := at(manifest, "spec", "updateStrategy", "rollingUpdate", "maxSurge"):
        yield breaks(manifest, f"has maxSurge {whole(surge)}: two agents on a node would share the pins; it must be 0")
    if (at(manifest, "spec", "updateStrategy", "type") or "RollingUpdate") != "RollingUpdate":
        yield breaks(manifest, "is not updated by RollingUpdate: nodes would keep the programs of an old loader")


def _loader_container(container: Container) -> Iterator[Violation]:
    if container.group != "initContainers":
        yield container.breaks(f"stands in {container.group}: it runs once, before the agent, as an init container")
    if policy := container.body.get("restartPolicy"):
        yield container.breaks(f"has restartPolicy {policy}: a loader that stays keeps CAP_BPF")
    if container.effective("runAsUser") != 0 or container.effective("runAsGroup") != AGENT_UID:
        yield container.breaks(f"must be uid 0, gid {AGENT_UID}: owner and group of the pins are what guards them")


def _agent_container(container: Container) -> Iterator[Violation]:
    profile = container.effective("seccompProfile") or {}
    folder = SECCOMP.rsplit("/", 1)[-1]
    if profile.get("type") != "Localhost" or not str(profile.get("localhostProfile") or "").startswith(f"{folder}/"):
        yield container.breaks(
            f"does not run under the loader's seccomp profile (type Localhost, localhostProfile {folder}/...): "
            "RuntimeDefault refuses bpf(2), Unconfined refuses nothing"
        )


def _node_folders(manifest: Manifest) -> Iterator[Violation]:
    """hostPath volumes: the table's two, in the agent's pods, each in the containers of the table."""
    volumes = [v for v in items(pod(manifest).get("volumes")) if v.get("hostPath")]
    paths = {str(v.get("name")): str(v["hostPath"].get("path")) for v in volumes}
    for path in paths.values():
        if path not in AGENT_HOST_PATHS or not is_agent(manifest):
            allowed = " and ".join(AGENT_HOST_PATHS)
            yield breaks(
                manifest, f"mounts {path} of the node; only the agent in {AGENT_NAMESPACE} may, and only {allowed}"
            )
    if not is_agent(manifest):
        return
    for container in containers(manifest):
        for mount in items(container.body.get("volumeMounts")):
            path = paths.get(str(mount.get("name")), "")
            if path in MOUNTS and container.name not in MOUNTS[path]:
                yield container.breaks(f"mounts {path}; only {' and '.join(MOUNTS[path])} may")


RULES: Final = (
    Rule(
        id="FP001",
        name="agent-capabilities",
        why="A profiler that sees every process of a node must hold no more than that takes: the running agent has "
        "CAP_PERFMON alone, under a uid of its own, and no other container of the platform has any capability.",
        remediation="Give every container `capabilities: {drop: [ALL]}`; add only what `AGENT_CAPABILITIES` in "
        "schemas/allowed.py lists for the container of that name in the agent's DaemonSet.",
        kinds=WORKLOADS,
        check=_capabilities,
    ),
    Rule(
        id="FP002",
        name="agent-loader",
        why="CAP_BPF lives for the moment in which the programs are loaded: in an init container that ends. Nobody "
        "but the agent reaches the pins it leaves, or the node's file system.",
        remediation="Keep the loader an init container without restartPolicy, uid 0 and the agent's gid; mount the "
        "node's folders as `AGENT_HOST_PATHS` in schemas/allowed.py lists them, and no others.",
        kinds=WORKLOADS,
        check=_loader,
    ),
)
