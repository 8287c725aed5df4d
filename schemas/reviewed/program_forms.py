"""The rows of the table of programs: a container, a workload, and what several of them have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.reviewed.forms import ANY, Maybe, Range, Text

HOST: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
ELSEWHERE: Final = None  # the environment is compared by another rule (Grafana's settings: schemas/reviewed/grafana.py)


def http(path: str, port: str, period: int = 10, failures: int = 3) -> dict[str, Any]:
    """A probe by HTTP."""
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": period, "failureThreshold": failures}


def tcp(port: str, period: int = 10) -> dict[str, Any]:
    """A probe that opens a connection."""
    return {"tcpSocket": {"port": port}, "periodSeconds": period, "failureThreshold": 3}


def from_field(path: str) -> dict[str, Any]:
    """A variable that holds a field of the pod."""
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def from_secret(name: str, key: str, **more: Any) -> dict[str, Any]:
    """A variable that holds a key of a Secret."""
    return {"valueFrom": {"secretKeyRef": {"name": name, "key": key, **more}}}


RUNTIME_DEFAULT: Final = {"type": "RuntimeDefault"}
# What a container may do (components/pods.py, `restricted_container`). What is ANY here has a rule of its own (FP001,
# FP003, FP015), which also says that it is missing.
RESTRICTED: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": Maybe(ANY),
    "readOnlyRootFilesystem": Maybe(ANY),
    "runAsNonRoot": True,
    "capabilities": Maybe(ANY),
    "privileged": Maybe(ANY),
}
# Volumes that programs write to. All others are mounted read-only.
WRITTEN: Final = (
    *("audit", "blocks", "data", "metastore", "pins", "profiles", "s3-tmp", "scratch", "seccomp", "store-tmp", "tmp"),
)


@dataclass(frozen=True)
class Program:
    """One container. ``size``: CPU and memory that it asks for, and its limits. ``mounts``: volume to folder."""

    image: str
    arguments: tuple[str, ...]
    size: tuple[Any, Any, Any, Any]
    command: tuple[str, ...] = ()
    environment: Mapping[str, Any] | None = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    ready: Mapping[str, Any] | None = None
    alive: Mapping[str, Any] | None = None
    started: Mapping[str, Any] | None = None
    security: Mapping[str, Any] = field(default_factory=lambda: RESTRICTED)


@dataclass(frozen=True)
class Workload:
    """One workload: its containers, whom they run as (`user`), and the fields that say how it is kept up."""

    kind: str
    user: Mapping[str, Any]
    containers: Mapping[str, Program]
    spec: Mapping[str, Any]  # beside template and selector
    pod: Mapping[str, Any]  # beside containers and what every pod has (schemas/reviewed/pods.py)
    init: Mapping[str, Program] = field(default_factory=dict)
    budget: bool = True  # whether a PodDisruptionBudget holds it: one pod at a time


def user(uid: int, *, volumes: bool = False) -> dict[str, Any]:
    """A user and its group of the same number (`restricted_pod` of components/pods.py); ``volumes``: it owns them."""
    owned = {"fsGroup": uid, "fsGroupChangePolicy": "OnRootMismatch"} if volumes else {}
    return {"runAsNonRoot": True, "runAsUser": uid, "runAsGroup": uid, "seccompProfile": RUNTIME_DEFAULT, **owned}


def spread(app: str, *keys: str, hard: bool = False) -> list[dict[str, Any]]:
    """Replicas apart, by the labels of the program itself and in its own namespace."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": app}},
        }
        for key in keys
    ]


def rolling(unavailable: int = 0) -> dict[str, Any]:
    """Deployments are never below their replicas while they are rolled out; the compaction may wait a little."""
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": unavailable}}


def at_least(cpu: str, memory: str, cpu_limit: str, memory_limit: str) -> tuple[Any, Any, Any, Any]:
    """Sizes that grow with services/: not below what the smallest platform has, and not beyond a node."""
    return Range(cpu, "64"), Range(memory, "256Gi"), Range(cpu_limit, "128"), Range(memory_limit, "512Gi")


GOMEMLIMIT: Final = Text(r"[1-9]\d*MiB", "nine tenths of the memory limit, in MiB")
