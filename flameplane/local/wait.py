"""Wait until every workload that can run does; say why one does not, and give up after a while."""

import time
from collections.abc import Mapping
from dataclasses import replace

from flameplane.local.kubectl import Kubectl
from flameplane.local.problem import Problem
from flameplane.local.readiness import RUNNING, State, judge
from flameplane.local.steps import Say

POLL = 1.0  # seconds
PATIENCE = 10.0  # seconds without a word: starting takes a while, and its reasons are none
LOG_LINES = 5  # of a container that crashed
PLATFORM = "--selector=app.kubernetes.io/part-of=flameplane"


def states(kubectl: Kubectl, open_images: Mapping[str, str], ours: bool) -> list[State]:
    """The state of every workload of the platform now, by namespace and name."""
    kinds = ",".join(kind.lower() for kind in (*RUNNING, "Pod"))
    found = kubectl.get(kinds, "--all-namespaces", PLATFORM, doing="look at the workloads")
    pods = [item for item in found if item["kind"] == "Pod"]
    workloads = [item for item in found if item["kind"] in RUNNING]
    judged = [judge(workload, pods, open_images, ours) for workload in workloads]
    return sorted(judged, key=lambda state: (state.workload.namespace, state.workload.name))


def wait(kubectl: Kubectl, open_images: Mapping[str, str], timeout: float, say: Say, ours: bool) -> list[State]:
    """Poll until nothing is waiting. A reason is said when it appears; after `timeout` seconds it is the failure."""
    start = time.monotonic()
    told: dict[str, str] = {}
    while True:
        now = states(kubectl, open_images, ours)
        waiting = [state for state in now if state.verdict == "waiting"]
        if not waiting:
            return now
        if time.monotonic() - start > PATIENCE:
            waiting = [state if state.why else _with_event(kubectl, state) for state in waiting]
            for state in waiting:
                name = str(state.workload)
                if state.why and told.get(name) != state.why:
                    told[name] = state.why
                    say(f"{name} {state.count}: {state.why}")
        if time.monotonic() - start > timeout:
            raise _failure(kubectl, waiting, timeout)
        time.sleep(POLL)


def _with_event(kubectl: Kubectl, state: State) -> State:
    """The state with the last warning about its pods: what keeps a container from being made is said nowhere else."""
    namespace = f"--namespace={state.workload.namespace}"
    events = kubectl.get("events", namespace, "--field-selector=type=Warning", doing="look at the events")
    about = [event for event in events if event["involvedObject"].get("name") in (*state.pods, state.workload.name)]
    if not about:
        return state
    last = max(about, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return replace(state, why=f"{last.get('reason', '')}: {last.get('message', '')}")


def _failure(kubectl: Kubectl, waiting: list[State], timeout: float) -> Problem:
    details = []
    for state in waiting:
        details.append(f"{state.workload} {state.count}: {state.why or 'its pods have not started yet'}")
        for pod, container in state.crashed:
            words = _last_words(kubectl, state.workload.namespace, pod, container)
            details += [f"  {container}: {line}" for line in words]
    command = " ".join(kubectl.command)
    return Problem(
        "LOC008",
        f"{len(waiting)} workloads are not Ready after {timeout:.0f} s:",
        f"look at their pods with `{command} describe pods -n NAMESPACE`, then run `flameplane local up` again",
        details,
    )


def _last_words(kubectl: Kubectl, namespace: str, pod: str, container: str) -> list[str]:
    """The end of the log of a container that ended. Without `--previous`: that is one earlier while none runs."""
    arguments = ("logs", f"--namespace={namespace}", pod, f"--container={container}", f"--tail={LOG_LINES}")
    result = kubectl.call(*arguments)
    return [line for line in result.out.splitlines() if line.strip()] if result.ok else []
