"""Whether a workload runs, and if not, why: the reason Kubernetes gives for its pods, in one line.

Pods whose image is still open in images.lock cannot run; they are told apart by the image reference, so that nobody
waits for them, and named with what the lock says they wait for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from flameplane.local.kubectl import Object
from flameplane.local.objects import Key, key

RUNNING = ("Deployment", "StatefulSet", "DaemonSet")  # kinds that keep pods running
BROKEN = ("CrashLoopBackOff", "Error", "OOMKilled", "CreateContainerError", "RunContainerError", "StartError")
Verdict = Literal["ready", "waiting", "open"]


@dataclass(frozen=True)
class State:
    """One workload. `pods` are those that keep it from being ready, `crashed` those whose log may tell why."""

    workload: Key
    verdict: Verdict
    count: str
    why: str = ""
    pods: tuple[str, ...] = ()
    crashed: tuple[tuple[str, str], ...] = ()  # (pod, container)


def judge(workload: Object, pods: Sequence[Object], open_images: Mapping[str, str], ours: bool) -> State:
    """State of a Deployment, StatefulSet or DaemonSet from its status and its pods.

    `open_images` maps an image reference to what it waits for. On a cluster that is not `ours` no image is loaded, so a
    pod without its image does not count as failed either.
    """
    name = key(workload)
    ready, wanted = _replicas(workload)
    count = f"{ready}/{wanted}"
    template = workload["spec"]["template"]["spec"]
    containers = [*template.get("initContainers", []), *template["containers"]]
    waits = dict.fromkeys(open_images[c["image"]] for c in containers if c["image"] in open_images)
    if waits:
        return State(name, "open", count, "; ".join(waits))
    if _settled(workload) and ready == wanted:
        return State(name, "ready", count)
    own = [pod for pod in pods if _selected(pod, workload) and not _ready(pod)]
    reasons = dict.fromkeys(reason for pod in own if (reason := _reason(pod)))
    crashed = tuple((pod["metadata"]["name"], c) for pod in own for c in _crashed(pod))
    why = "; ".join(reasons) or _condition(workload)
    if not ours and own and all("ErrImageNeverPull" in _reason(pod) for pod in own):
        return State(name, "open", count, f"put its image on the nodes first ({why})")
    return State(name, "waiting", count, why, tuple(pod["metadata"]["name"] for pod in own), crashed)


def _replicas(workload: Object) -> tuple[int, int]:
    """Pods that run the declared template and are ready, and how many there should be."""
    status = workload.get("status", {})
    if workload["kind"] == "DaemonSet":
        ready = min(status.get("updatedNumberScheduled", 0), status.get("numberReady", 0))
        return ready, status.get("desiredNumberScheduled", 0)
    ready = min(status.get("updatedReplicas", 0), status.get("readyReplicas", 0))
    return ready, workload["spec"].get("replicas", 1)


def _settled(workload: Object) -> bool:
    """Whether the status is about the present declaration, and pods of an earlier one are gone."""
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"]["generation"]:
        return False
    return workload["kind"] != "Deployment" or status.get("replicas", 0) == status.get("updatedReplicas", 0)


def _selected(pod: Object, workload: Object) -> bool:
    if pod["metadata"]["namespace"] != workload["metadata"]["namespace"]:
        return False
    labels = pod["metadata"].get("labels", {})
    wanted = workload["spec"]["selector"].get("matchLabels", {})
    return all(labels.get(k) == v for k, v in wanted.items())


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _reason(pod: Object) -> str:
    """Why a pod does not run, as far as Kubernetes says."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"cannot be scheduled: {condition.get('message') or condition.get('reason', '')}"
    for container in _statuses(pod):
        state = container.get("state", {})
        last = container.get("lastState", {}).get("terminated")
        if waiting := state.get("waiting"):
            reason = waiting.get("reason", "waiting")
            if reason in ("PodInitializing", "ContainerCreating") and not waiting.get("message"):
                continue
            said = _ended(last) if last else waiting.get("message", "")
            return f"{container['name']}: {reason}" + (f" ({said})" if said else "")
        if (ended := state.get("terminated")) and ended.get("exitCode"):
            return f"{container['name']}: {_ended(ended)}"
        if "running" in state and not container.get("ready") and container.get("started"):
            return f"{container['name']}: runs, but its readiness probe does not succeed"
    return ""


def _ended(terminated: Object) -> str:
    reason = terminated.get("reason", "ended")
    return f"{reason}, exit code {terminated.get('exitCode')}"


def _crashed(pod: Object) -> list[str]:
    """Containers that ended with an error at least once and do not run now."""
    found = []
    for container in _statuses(pod):
        state = container.get("state", {})
        ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
        if "running" not in state and ended and ended.get("exitCode"):
            found.append(container["name"])
    return found


def _condition(workload: Object) -> str:
    """What the workload's own conditions say, for when it has no pods (quota, admission)."""
    for condition in workload.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    return ""
