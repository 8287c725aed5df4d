"""The pod of the node agent: three containers, each with exactly the capabilities of ``schemas.allowed``."""

from typing import Final

from pulumi_kubernetes.core.v1 import (
    ContainerArgsDict,
    NodeSelectorTermArgsDict,
    PodSpecArgsDict,
    SecurityContextArgsDict,
    VolumeArgsDict,
    VolumeMountArgsDict,
)

from components import pods
from components.pods import METRICS_PORT, SERVICE_PORT, Images
from schemas.allowed import AGENT_CAPABILITIES, AGENT_HOST_PATHS, AGENT_UID

AGENT_NAME: Final = "flameplane-node"
RECEIVER_UID: Final = AGENT_UID + 1  # not the agent's: its gid opens the BPF pins
SECCOMP_PROFILE: Final = "flameplane/agent.json"  # below the kubelet's seccomp folder
AGENT_METRICS_PORT: Final = METRICS_PORT
RECEIVER_METRICS_PORT: Final = METRICS_PORT + 1  # the containers of a pod share one network
# Outside /sys, which the default AppArmor profile of containers keeps read-only.
PINS: Final = "/bpf"
PINS_HOST_PATH, SECCOMP_HOST_PATH = AGENT_HOST_PATHS


def agent_pod(images: Images, config_map: str) -> PodSpecArgsDict:
    """Spec of the pod. Fields of the host are written out, since policies look at them."""
    return {
        "service_account_name": AGENT_NAME,
        "automount_service_account_token": False,
        "host_network": False,
        "host_pid": False,
        "host_ipc": False,
        # Inside a user namespace the kernel refuses perf events and BPF programs, whatever the capabilities.
        "host_users": True,
        "priority_class_name": AGENT_NAME,
        "node_selector": {"kubernetes.io/os": "linux"},
        "affinity": {
            "node_affinity": {
                "required_during_scheduling_ignored_during_execution": {"node_selector_terms": [_REAL_NODES]}
            }
        },
        "tolerations": [{"operator": "Exists"}],
        "termination_grace_period_seconds": 30,
        "enable_service_links": False,
        # The kubelet makes tokens readable to this group: agent and receiver run as different users. It is not the
        # agent's own, which opens the pins.
        "security_context": {"fs_group": RECEIVER_UID, "seccomp_profile": {"type": "RuntimeDefault"}},
        "init_containers": [_loader(images)],
        "containers": [_agent(images), _receiver(images)],
        "volumes": [
            _host_path("pins", PINS_HOST_PATH),
            _host_path("seccomp", SECCOMP_HOST_PATH),
            {"name": "config", "config_map": {"name": config_map}},
            pods.api_token(),
            pods.gateway_token(),
        ],
    }


# EKS puts DaemonSet pods on Fargate's virtual nodes too, where they wait for ever.
_REAL_NODES: Final[NodeSelectorTermArgsDict] = {
    "match_expressions": [{"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]}]
}


def _loader(images: Images) -> ContainerArgsDict:
    """Loads the programs, replaces the pins, writes the agent's seccomp profile, exits.

    The kubelet reads that profile when it makes the next container. Map memory stays charged to the pod.
    """
    return {
        "name": "loader",
        "image": images.reference("agent"),
        "image_pull_policy": images.pull_policy,
        "args": ["loader", f"--pins={PINS}", "--seccomp-profile=/seccomp/agent.json", f"--gid={AGENT_UID}"],
        "security_context": {
            **_capabilities("loader"),
            "run_as_user": 0,
            "run_as_group": AGENT_UID,
            "run_as_non_root": False,
        },
        "resources": pods.resources("10m", "64Mi", "500m", "192Mi"),
        "volume_mounts": [_mount("pins", PINS, write=True), _mount("seccomp", "/seccomp", write=True)],
    }


def _agent(images: Images) -> ContainerArgsDict:
    """Samples. The runtime gives non-root users no capability; the file capability of the binary brings it back."""
    security = _capabilities("agent") | {
        "run_as_user": AGENT_UID,
        "run_as_group": AGENT_UID,
        "run_as_non_root": True,
        # RuntimeDefault plus bpf(2), which RuntimeDefault lets through only with CAP_BPF.
        "seccomp_profile": {"type": "Localhost", "localhost_profile": SECCOMP_PROFILE},
    }
    return {
        "name": "agent",
        "image": images.reference("agent"),
        "image_pull_policy": images.pull_policy,
        "args": [
            "agent",
            f"--pins={PINS}",
            "--services=/etc/flameplane/services.json",
            f"--gateway={_GATEWAY}",
            f"--gateway-token={pods.TOKEN_FOLDER}/token",
            f"--metrics=:{AGENT_METRICS_PORT}",
            "--name-files",  # the backend's symboliser is off (components/pyroscope_config.py)
        ],
        "env": [pods.field("NODE_NAME", "spec.nodeName"), pods.field("POD_NAME", "metadata.name")],
        "security_context": security,
        "resources": pods.resources("20m", "64Mi", "500m", "128Mi"),
        "ports": [pods.port("metrics", AGENT_METRICS_PORT)],
        "liveness_probe": pods.http_probe("/healthz", "metrics", period=30),
        "readiness_probe": pods.http_probe("/ready", "metrics"),
        "volume_mounts": [_mount("pins", PINS, write=True), *_CONNECTED],
    }


def _receiver(images: Images) -> ContainerArgsDict:
    """Takes what applications send and scrapes Go services: what parses foreign data has no capability and no pins."""
    return {
        "name": "receiver",
        "image": images.reference("receiver"),
        "image_pull_policy": images.pull_policy,
        "args": [
            f"--listen=:{SERVICE_PORT}",
            "--services=/etc/flameplane/services.json",
            f"--gateway={_GATEWAY}",
            f"--gateway-token={pods.TOKEN_FOLDER}/token",
            f"--metrics=:{RECEIVER_METRICS_PORT}",
        ],
        "env": [pods.field("NODE_NAME", "spec.nodeName"), pods.field("POD_NAME", "metadata.name")],
        "security_context": _capabilities("receiver")
        | {"run_as_user": RECEIVER_UID, "run_as_group": RECEIVER_UID, "run_as_non_root": True},
        "resources": pods.resources("10m", "32Mi", "250m", "128Mi"),
        "ports": [pods.port("http", SERVICE_PORT), pods.port("rx-metrics", RECEIVER_METRICS_PORT)],
        "liveness_probe": pods.http_probe("/healthz", "rx-metrics", period=30),
        "readiness_probe": pods.http_probe("/ready", "rx-metrics"),
        "volume_mounts": _CONNECTED,
    }


_GATEWAY: Final = f"http://gateway.flameplane-access.svc:{SERVICE_PORT}"


def _capabilities(container: str) -> SecurityContextArgsDict:
    added = list(AGENT_CAPABILITIES[container])
    return {
        "privileged": False,
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"], "add": added} if added else {"drop": ["ALL"]},
    }


def _host_path(name: str, path: str) -> VolumeArgsDict:
    return {"name": name, "host_path": {"path": path, "type": "DirectoryOrCreate"}}


def _mount(name: str, path: str, write: bool = False) -> VolumeMountArgsDict:
    return {"name": name, "mount_path": path, "read_only": not write}


_CONNECTED: Final = [
    _mount("config", "/etc/flameplane"),
    _mount("api-token", "/var/run/secrets/kubernetes.io/serviceaccount"),
    _mount("gateway-token", pods.TOKEN_FOLDER),
]
