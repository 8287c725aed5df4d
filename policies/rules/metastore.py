"""The metastore: the only state that cannot be made again."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from policies.objects import WORKLOADS, at, breaks, containers, items, name, namespace, pod, texts
from policies.pyroscope import ConfigFile, config_files, flags
from policies.rule import Manifest, Rule, Violation

PATHS: Final = (("metastore", "data_dir"), ("metastore", "raft", "dir"), ("metastore", "raft", "snapshots_dir"))
FLAGS: Final = ("metastore.data-dir", "metastore.raft.dir", "metastore.raft.snapshots-dir")


def _persistent(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for config in config_files(manifests):
        users = [m for m in manifests if m.get("kind") in WORKLOADS and runs_metastore(m, config)]
        for path in PATHS:
            if not at(config.body, *path):
                yield breaks(config.manifest, f"does not set {'.'.join(path)} in {config.key}")
        for workload in users:
            yield from lost(workload, config)
    for container, flag, value in flags(manifests):
        if flag in FLAGS:
            yield container.breaks(f"has the flag -{flag}={value}, which beats the configuration files")


def runs_metastore(workload: Manifest, config: ConfigFile) -> bool:
    """Whether the workload mounts this configuration and its role includes the metastore."""
    mounted = {at(v, "configMap", "name") for v in items(pod(workload).get("volumes"))}
    if namespace(workload) != namespace(config.manifest) or name(config.manifest) not in mounted:
        return False
    target = str(config.body.get("target") or "all")
    for container in containers(workload):
        for argument in texts(container.body.get("args")):
            if argument.lstrip("-").startswith("target="):
                target = argument.partition("=")[2]
    return bool({"all", "metastore"} & set(target.split(",")))


def lost(workload: Manifest, config: ConfigFile) -> Iterator[Violation]:
    """Why what the metastore of this workload writes would be lost."""
    if workload.get("kind") != "StatefulSet":
        yield breaks(workload, "runs the metastore; only a StatefulSet keeps its volumes")
        return
    for folder in dict.fromkeys(str(folder) for path in PATHS if (folder := at(config.body, *path))):
        yield from _kept(workload, folder, config)
    yield from _claims(workload)


def _kept(workload: Manifest, folder: str, config: ConfigFile) -> Iterator[Violation]:
    """The folder must lie on a claim, in every container that mounts the configuration."""
    volumes = {str(v.get("name")): v for v in items(pod(workload).get("volumes"))}
    claims = {name(t) for t in items(at(workload, "spec", "volumeClaimTemplates"))}
    claims |= {n for n, v in volumes.items() if v.get("persistentVolumeClaim")}
    reads = {n for n, v in volumes.items() if at(v, "configMap", "name") == name(config.manifest)}
    for container in containers(workload):
        mounts = list(items(container.body.get("volumeMounts")))
        if not reads & {str(m.get("name")) for m in mounts}:
            continue
        mount = _mount_of(folder, mounts)
        if mount is None or str(mount.get("name")) not in claims:
            volume = volumes.get(str((mount or {}).get("name")), {})
            on = next((kind for kind in volume if kind != "name"), "the container's own file system")
            yield container.breaks(
                f"keeps {folder} on {on}: a restart would orphan every block; use a volumeClaimTemplate"
            )
        elif mount.get("readOnly"):
            yield container.breaks(f"mounts {folder} read-only")


def _mount_of(folder: str, mounts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The mount that a folder lies on: the deepest one above it."""
    above = [m for m in mounts if PurePosixPath(folder).is_relative_to(str(m.get("mountPath")))]
    return max(above, key=lambda m: len(PurePosixPath(str(m.get("mountPath"))).parts), default=None)


def _claims(workload: Manifest) -> Iterator[Violation]:
    policy = at(workload, "spec", "persistentVolumeClaimRetentionPolicy") or {}
    for when in ("whenDeleted", "whenScaled"):
        if (policy.get(when) or "Retain") != "Retain":
            yield breaks(workload, f"deletes the metastore's claims {when}: {policy[when]}; use Retain")


RULES: Final = (
    Rule(
        id="FP012",
        name="metastore-persistence",
        why="If the metastore's folders are lost, every block in object storage is orphaned: never found, never "
        "deleted. No tool rebuilds them.",
        remediation="Run the metastore in a StatefulSet with a volumeClaimTemplate mounted above `metastore.data_dir`"
        " and `metastore.raft.dir`.",
        kinds=("ConfigMap", *WORKLOADS),
        check=_persistent,
        scope="stack",
    ),
)
