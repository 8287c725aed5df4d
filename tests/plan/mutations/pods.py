"""Pods: identities, host access, security contexts, volumes, images, resources."""

from collections.abc import Iterator

from mutations.edit import Edit, Mutation, Path, appended, drop, each, get, leaves, mutating, put, removed, replaced
from policies.objects import POD_PATHS
from policies.rule import Manifest

HOST = ("hostPID", "hostNetwork", "hostIPC", "shareProcessNamespace")
GROUPS = ("initContainers", "containers")
UNCONFINED = {"type": "Unconfined"}
# Leaving these out takes something away from the pod, and nothing from its safety.
ONLY_USEFUL = ("fsGroup", "fsGroupChangePolicy")
POD_ONLY = ("fsGroup", "supplementalGroups")  # the API server knows them on pods alone
OTHER_DIGEST = "@sha256:" + "0" * 64


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    if manifest["kind"] in POD_PATHS:
        template: Path = POD_PATHS[manifest["kind"]]
        yield from mutating(manifest, _template(manifest, template))


def _template(manifest: Manifest, template: Path) -> Iterator[Edit]:
    pod: Path = (*template, "spec")
    yield from replaced(manifest, (*template, "metadata", "labels", "app.kubernetes.io/name"), "gateway", "pyroscope")
    yield from removed(manifest, (*template, "metadata", "labels"))
    for container in get(manifest, (*pod, "containers")):
        annotation = f"container.apparmor.security.beta.kubernetes.io/{container['name']}"
        yield from replaced(manifest, (*template, "metadata", "annotations", annotation), "unconfined")
    yield from replaced(manifest, (*template, "metadata", "labels", "flameplane.dev/gateway-client"), "true")
    for field in HOST:
        yield from replaced(manifest, (*pod, field), True)
    yield from replaced(manifest, (*pod, "serviceAccountName"), "default", "flameplane-node", "gateway")
    yield from removed(manifest, (*pod, "serviceAccountName"))
    yield from replaced(manifest, (*pod, "automountServiceAccountToken"), True)
    yield from removed(manifest, (*pod, "automountServiceAccountToken"))
    yield from _security(manifest, (*pod, "securityContext"), of_pod=True)
    for entry in each(manifest, (*pod, "volumes")):
        yield from _volume(manifest, entry)
    yield from appended(
        manifest,
        (*pod, "volumes"),
        {"name": "more", "hostPath": {"path": "/"}},
        {"name": "more", "hostPath": {"path": "/run/containerd/containerd.sock"}},
        {"name": "more", "secret": {"secretName": "more"}},
        {"name": "more", "csi": {"driver": "more.example.com"}},
    )
    for group in GROUPS:
        for entry in each(manifest, (*pod, group)):
            yield from _container(manifest, entry, group)
    yield from appended(manifest, (*pod, "containers"), {"name": "more", "image": "docker.io/library/busybox"})
    yield from appended(manifest, (*pod, "initContainers"), {"name": "more", "image": "docker.io/library/busybox"})
    for entry in each(manifest, (*pod, "initContainers")):
        yield (
            f"{entry} moved to containers",
            drop(
                put(manifest, (*pod, "containers"), [*get(manifest, (*pod, "containers")), get(manifest, entry)]), entry
            ),
        )


def _security(manifest: Manifest, context: Path, *, of_pod: bool) -> Iterator[Edit]:
    """A pod's or a container's securityContext: each entry left out, each turned the wrong way."""
    yield from removed(manifest, context)
    for path in leaves(get(manifest, context) or {}, context):
        # `false` is what the API server assumes of every boolean here but allowPrivilegeEscalation.
        if path[-1] == "allowPrivilegeEscalation" or (path[-1] not in ONLY_USEFUL and get(manifest, path) is not False):
            yield from removed(manifest, path)
    wrong = {
        "runAsNonRoot": False,
        "runAsUser": 0,
        "runAsGroup": 0,
        "fsGroup": 0,
        "supplementalGroups": [0],
        "seccompProfile": UNCONFINED,
        "appArmorProfile": UNCONFINED,
        "seLinuxOptions": {"type": "spc_t"},
        "windowsOptions": {"hostProcess": True},
    }
    for field, value in wrong.items():
        if of_pod or field not in POD_ONLY:
            yield from replaced(manifest, (*context, field), value)


def _container(manifest: Manifest, container: Path, group: str) -> Iterator[Edit]:
    context: Path = (*container, "securityContext")
    yield from _security(manifest, context, of_pod=False)
    wrong = {
        "privileged": True,
        "allowPrivilegeEscalation": True,
        "readOnlyRootFilesystem": False,
        "procMount": "Unmasked",
    }
    for field, value in wrong.items():
        yield from replaced(manifest, (*context, field), value)
    capabilities: Path = (*context, "capabilities")
    yield from appended(manifest, (*capabilities, "add"), "SYS_ADMIN", "NET_RAW", "ALL", "BPF", "CAP_SYS_PTRACE")
    yield from replaced(manifest, (*capabilities, "drop"), [], ["NET_RAW"])
    yield from _image(manifest, container)
    for entry in each(manifest, (*container, "volumeMounts")):
        if get(manifest, (*entry, "readOnly")):
            yield from replaced(manifest, (*entry, "readOnly"), False)
            yield from removed(manifest, (*entry, "readOnly"))
        yield from replaced(manifest, (*entry, "mountPropagation"), "Bidirectional")
    for entry in each(manifest, (*container, "ports")):
        yield from replaced(manifest, (*entry, "hostPort"), get(manifest, (*entry, "containerPort")))
    for entry in each(manifest, (*container, "env")):
        if (secret := (*entry, "valueFrom", "secretKeyRef", "name")) and get(manifest, secret):
            yield from replaced(manifest, secret, "more")
    yield from appended(manifest, (*container, "envFrom"), {"secretRef": {"name": "more"}})
    for path in (
        ("resources",),
        ("resources", "limits"),
        ("resources", "limits", "memory"),
        ("resources", "limits", "cpu"),
    ):
        yield from removed(manifest, (*container, *path))
    if group == "initContainers":
        yield from replaced(manifest, (*container, "restartPolicy"), "Always")


def _image(manifest: Manifest, container: Path) -> Iterator[Edit]:
    image = str(get(manifest, (*container, "image")))
    base = image.partition("@")[0].removesuffix(":local").removesuffix(":not-locked")
    others = (
        f"{base}:latest",
        f"{base}:v1",
        base,
        "docker.io/library/busybox",
        f"docker.io/library/busybox{OTHER_DIGEST}",
    )
    yield from replaced(manifest, (*container, "image"), *others)
    if "@" in image:
        yield from replaced(manifest, (*container, "image"), base + OTHER_DIGEST)
    if image.startswith("localhost/"):
        yield from replaced(manifest, (*container, "imagePullPolicy"), "Always", "IfNotPresent")
        yield from removed(manifest, (*container, "imagePullPolicy"))


def _volume(manifest: Manifest, volume: Path) -> Iterator[Edit]:
    name = get(manifest, (*volume, "name"))
    if get(manifest, (*volume, "hostPath")):
        path: Path = (*volume, "hostPath", "path")
        parent = str(get(manifest, path)).rpartition("/")[0]
        yield from replaced(manifest, path, "/", parent, "/proc", "/var/run")
    else:
        yield f"volume {name} from the node", put(manifest, volume, {"name": name, "hostPath": {"path": "/var/lib"}})
    if get(manifest, (*volume, "emptyDir")) is not None:
        yield from removed(manifest, (*volume, "emptyDir", "sizeLimit"))
    if get(manifest, (*volume, "secret")):
        yield from replaced(manifest, (*volume, "secret", "secretName"), "more")
        yield from removed(manifest, (*volume, "secret", "items"))
    if get(manifest, (*volume, "configMap")):
        yield from replaced(manifest, (*volume, "configMap", "name"), "more")
    for source in each(manifest, (*volume, "projected", "sources")):
        token: Path = (*source, "serviceAccountToken")
        if get(manifest, token):
            yield from removed(manifest, (*token, "audience"))
            yield from replaced(manifest, (*token, "audience"), "sts.amazonaws.com")
            yield from replaced(manifest, (*token, "expirationSeconds"), 31_536_000)
            yield from removed(manifest, (*token, "expirationSeconds"))
    if get(manifest, (*volume, "projected")):
        yield from appended(manifest, (*volume, "projected", "sources"), {"secret": {"name": "more"}})
