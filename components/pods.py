"""What the pods of all components share: security contexts, image references, tokens.

``restricted`` is what Pod Security asks of every namespace but the node agent's; what needs more says so itself.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypedDict

from pulumi_kubernetes.core.v1 import (
    ContainerPortArgsDict,
    EnvVarArgsDict,
    PodSecurityContextArgsDict,
    ProbeArgsDict,
    ResourceRequirementsArgsDict,
    SecurityContextArgsDict,
    TopologySpreadConstraintArgsDict,
    VolumeArgsDict,
)

from schemas.images import ImagesLock

GATEWAY_AUDIENCE: Final = "flameplane-gateway"  # the tokens of our own programs are good for the gateway only
TOKEN_FOLDER: Final = "/var/run/secrets/flameplane"  # noqa: S105 - a folder
API_TOKEN_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105
TOKEN_SECONDS: Final = 3600  # the kubelet renews a token after 80 % of its life
SERVICE_PORT: Final = 4040  # where profiles go in and out: receiver, gateway, Pyroscope
METRICS_PORT: Final = 4041  # /metrics, /healthz and /ready of our own programs


class ProgramPod(TypedDict):
    """The part of a pod spec in which all programs are alike."""

    service_account_name: str
    automount_service_account_token: bool
    enable_service_links: bool
    termination_grace_period_seconds: int
    security_context: PodSecurityContextArgsDict


@dataclass(frozen=True)
class Images:
    """The images of one environment."""

    lock: ImagesLock
    registry: str

    def reference(self, name: str) -> str:
        """Image reference of the entry ``name`` in images.lock."""
        return self.lock.reference(name, self.registry)

    @property
    def pull_policy(self) -> Literal["Never", "IfNotPresent"]:
        """Images under ``localhost/`` are imported into the node: there is nothing to pull them from."""
        return "Never" if self.registry.startswith("localhost/") else "IfNotPresent"

    def runnable(self, name: str) -> bool:
        """Whether the entry can be run here: locked by digest, or built by ``local/``."""
        return self.lock.runnable(name, self.registry)

    def waited_for(self, *names: str) -> dict[str, str]:
        """Annotations of a workload and of its Service. `pulumi up` waits until these are ready; while an image is open
        it would wait in vain, and fail after ten minutes."""
        return {} if all(self.runnable(name) for name in names) else {"pulumi.com/skipAwait": "true"}


def restricted_pod(uid: int, fs_group: bool = False) -> PodSecurityContextArgsDict:
    """Pod-level half of Pod Security ``restricted``. ``fs_group``: volumes are handed to the group of the user."""
    context: PodSecurityContextArgsDict = {
        "run_as_non_root": True,
        "run_as_user": uid,
        "run_as_group": uid,
        "seccomp_profile": {"type": "RuntimeDefault"},
    }
    if fs_group:
        context |= {"fs_group": uid, "fs_group_change_policy": "OnRootMismatch"}
    return context


def program(account: str, uid: int, grace: int, fs_group: bool = False) -> ProgramPod:
    """What the pod of every program begins with: its identity without a token, no list of all Services in its
    environment, and ``grace`` seconds to end."""
    return {
        "service_account_name": account,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "termination_grace_period_seconds": grace,
        "security_context": restricted_pod(uid, fs_group),
    }


def restricted_container() -> SecurityContextArgsDict:
    """Container-level half of Pod Security ``restricted``, and a root file system that cannot be written."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "run_as_non_root": True,
        "capabilities": {"drop": ["ALL"]},
    }


def resources(cpu: str, memory: str, cpu_limit: str, memory_limit: str) -> ResourceRequirementsArgsDict:
    """Requests and limits; every container has both."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu_limit, "memory": memory_limit}}


def cores(millicores: int) -> str:
    """CPU as Kubernetes writes it back: 2 and not 2000m. Other spellings differ from what the cluster has."""
    return f"{millicores}m" if millicores % 1000 else str(millicores // 1000)


def mebibytes(mebi: int) -> str:
    """Memory as Kubernetes writes it back: 2Gi and not 2048Mi."""
    return f"{mebi}Mi" if mebi % 1024 else f"{mebi // 1024}Gi"


def http_probe(path: str, port: str, period: int = 10, failures: int = 3) -> ProbeArgsDict:
    """Probe of one HTTP path on a named port."""
    return {"http_get": {"path": path, "port": port}, "period_seconds": period, "failure_threshold": failures}


def tcp_probe(port: str, period: int = 10, failures: int = 3) -> ProbeArgsDict:
    """Probe that opens a connection to a named port."""
    return {"tcp_socket": {"port": port}, "period_seconds": period, "failure_threshold": failures}


def spread(app: str) -> TopologySpreadConstraintArgsDict:
    """Replicas on different nodes, as far as there are any."""
    return {
        "max_skew": 1,
        "topology_key": "kubernetes.io/hostname",
        "when_unsatisfiable": "ScheduleAnyway",
        "label_selector": {"match_labels": {"app.kubernetes.io/name": app}},
    }


def scraped(metrics_port: int) -> dict[str, str]:
    """Annotations by which a Prometheus without the operator finds /metrics."""
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(metrics_port), "prometheus.io/path": "/metrics"}


def port(name: str, number: int) -> ContainerPortArgsDict:
    """A named TCP port."""
    return {"name": name, "container_port": number, "protocol": "TCP"}


def field(name: str, path: str) -> EnvVarArgsDict:
    """Environment variable from a field of the pod."""
    return {"name": name, "value_from": {"field_ref": {"field_path": path}}}


def gateway_token() -> VolumeArgsDict:
    """Token of the pod's service account that only the gateway accepts; bound to the pod, so it dies with it."""
    return {
        "name": "gateway-token",
        "projected": {
            "sources": [
                {
                    "service_account_token": {
                        "audience": GATEWAY_AUDIENCE,
                        "expiration_seconds": TOKEN_SECONDS,
                        "path": "token",
                    }
                }
            ]
        },
    }


def api_token() -> VolumeArgsDict:
    """What a client of the Kubernetes API needs, mounted where one runs; automounting would reach every container."""
    return {
        "name": "api-token",
        "projected": {
            "sources": [
                {"service_account_token": {"expiration_seconds": TOKEN_SECONDS, "path": "token"}},
                {"config_map": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downward_api": {"items": [{"path": "namespace", "field_ref": {"field_path": "metadata.namespace"}}]}},
            ],
        },
    }
