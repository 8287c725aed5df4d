"""Time of the real engine: preview, up, up again and destroy with the policy pack, against the local cluster.

`python -m benchmarks.engine [--write]`: the project's own services with their demo workloads, then a generated fleet of
200. Needs `pulumi` on PATH and a machine that can run the local cluster; the platform must not be on it. Exit code 3
where that is not so, 1 when a command failed or the second `up` changed anything.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fleet import generate
from flameplane.local.kubectl import Kubectl
from local.cluster import CannotRun
from tests.engine.livecluster import NotOurs, empty_cluster, prepared
from tests.engine.workbench import Done, Workbench, missing

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "engine.md"
FLEET = 200  # services
COLUMNS = ("Services", "Resources", "Preview s", "Up s", "Second up s", "Destroy s")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help=f"write the result to {RESULTS.relative_to(ROOT)}")
    args = options.parse_args()
    if reason := missing():
        print(f"NOT RUN: {reason}", file=sys.stderr)
        sys.exit(3)
    try:
        with TemporaryDirectory() as scratch, empty_cluster(Path(scratch)) as kubectl:
            rows = [measure(kubectl), measure(kubectl, FLEET)]
    except (CannotRun, NotOurs) as why:
        print(f"NOT RUN: {why}", file=sys.stderr)
        sys.exit(3)
    text = page(rows)
    print(text)
    if args.write:
        RESULTS.write_text(text)


def measure(kubectl: Kubectl, fleet: int = 0) -> tuple[int, int, list[float]]:
    """Services, resources, and the seconds of each command. ``fleet`` services take the place of the project's own."""
    with TemporaryDirectory() as folder:
        bench = Workbench(ROOT, Path(folder), kubeconfig=kubectl.kubeconfig)
        if fleet:
            shutil.rmtree(bench.project / "services")
            generate(bench.project, fleet)
            injected(bench.project / "images.lock")
        bench.start()
        services = len(list((bench.project / "services").glob("*/*/service.yaml")))
        done = [run(bench, "preview")]
        try:
            with prepared(ROOT, kubectl):
                done.append(run(bench, "up", "--yes", "--skip-preview"))
            done.append(run(bench, "up", "--yes", "--skip-preview", "--expect-no-changes"))
        finally:
            done.append(run(bench, "destroy", "--yes", "--skip-preview"))
        return services, sum(done[1].changes.values()), [each.seconds for each in done]


def injected(lock: Path) -> None:
    """As when the language agents are there: until then nothing is declared for a single service."""
    entries = json.loads(lock.read_text())
    for name, image in entries["images"].items():
        image["local"] = image.get("local", False) or name.startswith("inject-")
    lock.write_text(json.dumps(entries))


def run(bench: Workbench, *command: str) -> Done:
    """One command, which has to succeed."""
    done = bench.run(*command)
    if done.code:
        sys.exit(f"pulumi {' '.join(command)} ended with code {done.code}:\n{done.text}")
    return done


def page(rows: list[tuple[int, int, list[float]]]) -> str:
    """The results as a page."""
    lines = [
        "# Time of the real engine",
        "",
        "Written by `python -m benchmarks.engine --write`.",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, stack local, file backend,",
        "policy pack on. The first row is the project's own services/, with demo workloads that `up` waits for;",
        "the second is generated, with the language agents that are declared once their images are there.",
        "Every command runs the whole program; preview and up start the pack.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{' ---: |' * len(COLUMNS)}",
        *(f"| {s} | {r} | {' | '.join(f'{t:.1f}' for t in times)} |" for s, r, times in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
