"""The last thing `local up` says: what runs where, what does not and why, how to look at it, how to take it down."""

from collections.abc import Sequence

from flameplane.local.kubectl import Kubectl
from flameplane.local.readiness import State

WORDS = {"ready": "Ready", "waiting": "not Ready", "open": "waits"}


def report(states: Sequence[State], kubectl: Kubectl, arguments: str) -> str:
    """The report as text. `arguments` are those that name the cluster on a command line."""
    rows = [(s.workload.namespace, f"{s.workload.kind} {s.workload.name}", s.count, WORDS[s.verdict]) for s in states]
    lines = ["", "What runs where", *table([("namespace", "workload", "pods", ""), *rows])]
    if waiting := [state for state in states if state.verdict == "open"]:
        lines += ["", "Declared, but cannot run yet"]
        lines += [f"  {state.workload.namespace}/{state.workload.name}: {state.why}" for state in waiting]
    if broken := [state for state in states if state.verdict == "waiting"]:
        lines += ["", "Not Ready"]
        lines += [f"  {s.workload.namespace}/{s.workload.name}: {s.why or 'starting'}" for s in broken]
    command = " ".join(kubectl.command)
    flameplane = ".venv/bin/flameplane local"
    lines += [
        "",
        "Look at it",
        f"  {command} get pods --all-namespaces",
        f"  {command} get events --all-namespaces --sort-by=.lastTimestamp",
        f"  {flameplane} status{arguments}",
        "",
        "Take it down",
        f"  {'make down' if not arguments else f'{flameplane} down{arguments}'}",
    ]
    return "\n".join(lines)


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows with aligned columns; the first is the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
