"""Time and memory of `plan`: the project's own services, generated fleets of 20 and 200, with --large of 2,000.

`python -m benchmarks.plan [--large] [--write]`. Each size runs in a process of its own, so that its peak memory is its
own; the fleet is generated before the clock starts. Exit code 1: the goal was missed.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fleet import generate
from flameplane.catalog import load
from flameplane.plan import PackFailed, ProgramFailed, check_fields, evaluate, record
from flameplane.plan.summary import summarise

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "plan.md"
STACK = "local"
GOAL = (200, 20.0)  # services, seconds on two cores


@dataclass(frozen=True)
class Measured:
    """One plan. ``wall`` and ``cpu`` in seconds, memory in MB; cpu is that of all three processes."""

    services: int
    wall: float
    cpu: float
    program_mb: float
    monitor_mb: float
    objects: int
    findings: int


def main() -> None:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--large", action="store_true", help="also 2,000 services")
    options.add_argument("--write", action="store_true", help=f"write the result to {RESULTS.relative_to(ROOT)}")
    options.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.one:
        try:
            print(json.dumps(asdict(measure(args.one))))
        except (ProgramFailed, PackFailed) as error:
            sys.exit(str(error))
        return
    results = [_apart(ROOT / "services")]
    for size in (20, 200, 2000) if args.large else (20, 200):
        with TemporaryDirectory() as folder:
            generate(Path(folder), size)
            results.append(_apart(Path(folder) / "services"))
    text = table(results)
    print(text)
    if args.write:
        RESULTS.write_text(text)
    services, seconds = GOAL
    slow = [r for r in results if r.services == services and r.wall > seconds]
    sys.exit(f"{services} services took {slow[0].wall:.1f} s; the goal is {seconds:g} s" if slow else 0)


def measure(services: Path) -> Measured:
    """One plan in this process."""
    started = time.perf_counter()
    loaded = load(ROOT, services)
    if loaded.catalog is None:
        sys.exit(f"the generated services have findings: {loaded.findings[0].message}")
    recording = record(ROOT, STACK, services)
    findings = [*check_fields(recording, ROOT), *evaluate(recording, ROOT, loaded.sources)]
    summary = summarise(recording, ROOT, len(loaded.catalog.services))
    wall = time.perf_counter() - started
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measured(
        services=summary.services,
        wall=wall,
        cpu=sum(u.ru_utime + u.ru_stime for u in (own, others)),
        program_mb=recording.peak_rss_mb,
        monitor_mb=own.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
        objects=summary.objects,
        findings=len(findings),
    )


COLUMNS = (
    "Services",
    "Wall s",
    "CPU s",
    "Program MB",
    "Monitor MB",
    "Objects",
    "Objects per service",
    "CPU growth",
    "Object growth",
)


def table(results: list[Measured]) -> str:
    """The results as a page."""
    lines = [
        "# Time and memory of `plan`",
        "",
        "Written by `python -m benchmarks.plan --large --write`.",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, stack {STACK}.",
        "",
        "The first row is the project's own services/, with demo workloads; the rest is generated. Wall time and CPU",
        "cover reading services/, the program, the check of fields and the policy pack; memory is the peak of the",
        "program and of the process that records it. Growth is relative to the row above.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{' ---: |' * len(COLUMNS)}",
    ]
    for above, r in zip([None, None, *results[1:]], results, strict=False):
        cells = (
            f"{r.services:,}",
            f"{r.wall:.1f}",
            f"{r.cpu:.1f}",
            f"{r.program_mb:.0f}",
            f"{r.monitor_mb:.0f}",
            f"{r.objects:,}",
            f"{r.objects / r.services:.2f}",
            f"x {r.cpu / above.cpu:.1f} for x {r.services / above.services:g}" if above else "",
            f"x {r.objects / above.objects:.1f}" if above else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"Goal: {GOAL[0]} services in less than {GOAL[1]:g} s on two cores."]
    return "\n".join(lines) + "\n"


def _apart(services: Path) -> Measured:
    """`measure` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.plan", "--one", str(services)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip() or f"the measurement ended with exit code {done.returncode}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
