"""`python -m local.cluster up|down|status`: the local cluster alone, without the platform on it."""

import argparse
import sys

from local import LocalError
from local.cluster import kind, lifecycle
from local.cluster.layout import ClusterInfo, Layout

OK, FINDINGS, FAILURE = 0, 1, 3


def main() -> int:
    """Run one command; the exit code is 0, 1 when `status` finds no usable cluster, 2 for wrong usage, 3 on failure."""
    parser = argparse.ArgumentParser(prog="python -m local.cluster", description="The local Kubernetes cluster.")
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--kind", action="store_true", help="a kind cluster in Docker instead of our own")
    arguments = parser.parse_args()
    provider = kind if arguments.kind else lifecycle
    try:
        if arguments.command == "down":
            provider.down(_show)
            return OK
        info = provider.up(_show) if arguments.command == "up" else provider.status()
    except (LocalError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILURE
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run it again to go on.\n")
        return FAILURE
    if info is None:
        why = "" if arguments.kind else ": " + "; ".join(lifecycle.problems(Layout.current()))
        sys.stdout.write(f"The local cluster cannot be used{why}.\n")
        return FINDINGS
    _describe(info)
    return OK


def _show(step: str, seconds: float | None) -> None:
    if seconds is not None:
        sys.stdout.write(f"{seconds:7.1f} s  {step}\n")
        sys.stdout.flush()


def _describe(info: ClusterInfo) -> None:
    sys.stdout.write(f"The local cluster runs. {info.kubectl} --kubeconfig={info.kubeconfig} get pods -A\n")


if __name__ == "__main__":
    sys.exit(main())
