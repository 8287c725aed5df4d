"""What no pod of the platform may ask for."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.objects import WORKLOADS, Container, at, breaks, containers, is_agent, items, name, pod, template
from policies.reviewed_pods import beyond, metadata
from policies.rule import Manifest, Rule, Violation
from policies.rules.agent import AGENT, LOADER
from schemas.allowed import NAMESPACES
from schemas.reviewed.pods import NAMESPACE_LABELS

RELEASE: Final = "Release"  # a Helm release, which Pulumi shows as one resource (policies/adapter.py)
HOST_FIELDS: Final = ("hostPID", "hostNetwork", "hostIPC")
# The older way to say what securityContext.appArmorProfile says; kubelets still honour it.
APPARMOR_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_TYPES: Final = ("RuntimeDefault", "Localhost")


def _pods(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        if manifest.get("kind") == RELEASE:
            yield breaks(manifest, "hides what it installs from every rule; declare the objects, or use helm.v4.Chart")
        elif manifest.get("kind") != "Namespace":
            yield from _pod(manifest)
            yield from beyond(manifest)
        elif name(manifest) in NAMESPACES:  # by labels and annotations of a namespace meshes put containers into pods
            yield from metadata(manifest, labels=NAMESPACE_LABELS)


def _pod(manifest: Manifest) -> Iterator[Violation]:
    spec = pod(manifest)
    for field in HOST_FIELDS:
        if spec.get(field):
            yield breaks(manifest, f"has {field}: true")
    if spec.get("shareProcessNamespace"):
        yield breaks(manifest, "has shareProcessNamespace: true: a container would see the others' memory and files")
    if spec.get("automountServiceAccountToken") is not False:
        yield breaks(
            manifest,
            "does not set automountServiceAccountToken: false: every container would get a token; "
            "mount a projected one where it is needed",
        )
    shared = spec.get("securityContext") or {}
    if items(shared.get("sysctls")):
        yield breaks(manifest, "sets sysctls")
    if shared.get("fsGroup") == 0 or 0 in items(shared.get("supplementalGroups")):
        yield breaks(manifest, "gives its containers the group root (fsGroup, supplementalGroups)")
    for key, value in (at(template(manifest), "metadata", "annotations") or {}).items():
        if key.startswith(APPARMOR_ANNOTATION) and value == "unconfined":
            yield breaks(manifest, f"turns AppArmor off by the annotation {key}")
    for container in containers(manifest):
        yield from _container(container)
    for body in items(spec.get("ephemeralContainers")):
        yield breaks(manifest, f"has the ephemeral container {body.get('name')}: debugging a pod is no declaration")


def _container(container: Container) -> Iterator[Violation]:
    security = container.security
    if not security:
        yield container.breaks("has no securityContext: it keeps what the runtime gives everybody")
        return
    if security.get("allowPrivilegeEscalation") is not False:
        yield container.breaks("does not set allowPrivilegeEscalation: false")
    if security.get("readOnlyRootFilesystem") is not True:
        yield container.breaks("does not set readOnlyRootFilesystem: true")
    if (security.get("procMount") or "Default") != "Default":
        yield container.breaks("unmasks /proc by procMount")
    # The loader is root on purpose: bpffs pins belong to who makes them. It holds two capabilities and ends (FP002).
    if not (is_agent(container.manifest) and container.name == LOADER):
        if container.effective("runAsNonRoot") is not True:
            yield container.breaks("does not set runAsNonRoot: true")
        agent = is_agent(container.manifest) and container.name == AGENT  # whose one uid rule FP001 names
        if container.effective("runAsUser") == 0 and not agent:
            yield container.breaks("runs as root (runAsUser: 0)")
        if container.effective("runAsGroup") == 0:
            yield container.breaks("runs with the group root (runAsGroup: 0)")
    seccomp = (container.effective("seccompProfile") or {}).get("type")
    # The agent's own profile is rule FP002's.
    if seccomp not in SECCOMP_TYPES and not (is_agent(container.manifest) and container.name == AGENT):
        yield container.breaks(f"has seccomp profile {seccomp or 'none'}; valid: {', '.join(SECCOMP_TYPES)}")
    if (container.effective("appArmorProfile") or {}).get("type") == "Unconfined":
        yield container.breaks("turns AppArmor off (Unconfined)")
    yield from _own_way(container)


def _own_way(container: Container) -> Iterator[Violation]:
    """A label of its own choice, and programs that are in no list of arguments."""
    if container.effective("seLinuxOptions"):
        yield container.breaks("sets seLinuxOptions: the runtime gives every container a label of its own")
    for when, how in (container.body.get("lifecycle") or {}).items():
        if at(how, "exec"):
            yield container.breaks(f"runs a command unseen (lifecycle.{when}.exec)")
        else:
            yield container.breaks(f"calls somebody unseen, or ends otherwise than reviewed (lifecycle.{when})")


def _privileged(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for container in (c for m in manifests for c in containers(m)):
        if container.security.get("privileged"):
            yield container.breaks("is privileged")
        if (container.effective("windowsOptions") or {}).get("hostProcess"):
            yield container.breaks("is a process of the node (windowsOptions.hostProcess)")


RULES: Final = (
    Rule(
        id="FP003",
        name="unprivileged-workloads",
        why="Privileged pods, host namespaces, root and writable roots are how a profiling platform becomes the way "
        "into every node.",
        remediation="Use `restricted_pod` and `restricted_container` of components/pods.py; a container that needs "
        "more says so in schemas/allowed.py or schemas/reviewed/pods.py, where it is reviewed.",
        kinds=("Namespace", *WORKLOADS, RELEASE),
        check=_pods,
    ),
    Rule(
        id="FP015",
        name="never-privileged",
        why="A privileged container is root on the node. No profiler needs that on a kernel with CAP_PERFMON and "
        "CAP_BPF.",
        remediation="Remove `privileged`; capabilities by name are rule FP001's, and can be waived for another agent.",
        kinds=WORKLOADS,
        check=_privileged,
        waivable=False,
    ),
)
