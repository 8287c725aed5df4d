"""Time and memory of `flameplane plan`: the project's own services and generated fleets, alone and with `--base`.

`python -m benchmarks.plan [--large] [--write]`. Each row is the command itself, in a copy of the last commit with its
own git repository, made before the clock starts. Exit code 1: the goal was missed.
"""

import argparse
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.fleet import generate
from flameplane.plan import judge, record

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "plan.md"
STACKS: Final = ("local", "prod")
SIZES: Final = (0, 200)  # 0: the project's own services
LARGE: Final = (1000, 2000)
GOAL: Final = (200, 20.0)  # services, seconds on two cores
BUSY: Final = 0.75  # load average per core above which wall times say nothing
GIT: Final = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Measured:
    """One run of the command and of all it starts. Seconds; MB are the peak of its largest process."""

    what: str
    services: int
    objects: int
    wall: float
    cpu: float
    mb: float


def main() -> None:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--large", action="store_true", help="also 1,000 and 2,000 services")
    options.add_argument("--write", action="store_true", help=f"write the result to {RESULTS.relative_to(ROOT)}")
    args = options.parse_args()
    load = os.getloadavg()[0]
    results: list[Measured] = []
    shares = ""
    for size in (*SIZES, *(LARGE if args.large else ())):
        with TemporaryDirectory() as folder:
            project = Path(folder).resolve() / "platform"
            _copy(project, size)
            results += [_measured(project, stack) for stack in STACKS]
            results += [_measured(project, STACKS[-1], "--base", "HEAD")]
            shares = _shares(project, results[-2])
    text = table(results, load, shares)
    print(text)
    if args.write:
        RESULTS.write_text(text)
    services, seconds = GOAL
    slow = [r for r in results if r.services == services and "--base" not in r.what and r.wall > seconds]
    sys.exit(f"{services} services took {slow[0].wall:.1f} s; the goal is {seconds:g} s" if slow else 0)


def _copy(project: Path, size: int) -> None:
    """The last commit as a repository of its own, with a fleet of ``size`` in place of the services if it is not 0."""
    archive = subprocess.run(["git", "archive", "--format=tar", "HEAD", "."], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(project, filter="data")
    if size:
        shutil.rmtree(project / "services")
        generate(project, size)
    for command in (("init", "-q"), ("add", "--all"), ("commit", "-q", "-m", "Fleet")):
        subprocess.run([*GIT, *command], cwd=project, check=True)


def _measured(project: Path, stack: str, *options: str) -> Measured:
    """One run. Findings, such as images that are still open in prod, make it exit with 1, which is fine here."""
    command = Path(sys.executable).with_name("flameplane")
    output = project.parent / "plan.json"
    arguments = [str(command), "plan", "-s", stack, *options, "-f", "json", "-o", str(output)]
    with (project.parent / "said").open("w+b") as said:
        started = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=project, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode not in (0, 1):
        sys.exit(f"{' '.join(arguments)} ended with exit code {process.returncode}:\n{text}")
    plan = json.loads(output.read_text())
    if plan["objects"] is None:
        sys.exit(f"the services have findings: {plan['findings'][0]['message']}")
    return Measured(
        " ".join((stack, *options)),
        plan["services"]["declared"],
        plan["objects"]["total"],
        wall,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
    )


def _shares(project: Path, row: Measured) -> str:
    """Who uses the CPU time of ``row``."""
    before = os.times()
    recording = record(project, row.what)
    judge(recording, project)
    after = os.times()
    children = sum(getattr(after, f"children_{k}") - getattr(before, f"children_{k}") for k in ("user", "system"))
    pack = children - recording.cpu_seconds
    return (
        f"CPU seconds of {row.what} with {row.services:,} services, in another run: the program "
        f"{recording.cpu_seconds:.1f}, the policy pack {pack:.1f}; reading,\nrecording and checking fields the rest."
    )


COLUMNS: Final = (
    "`plan -s`",
    "Services",
    "Wall s",
    "CPU s",
    "Peak MB",
    "Objects",
    "Objects per service",
    "CPU growth",
    "ms CPU a further service",
    "Object growth",
)


def table(results: list[Measured], load: float, shares: str) -> str:
    """The results as a page, one command after the other."""
    cores = os.cpu_count() or 1
    lines = [
        "# Time and memory of `plan`",
        "",
        "Written by `python -m benchmarks.plan --large --write`.",
        f"{cores} cores, {platform.machine()}, Python {platform.python_version()}; load average before: {load:.1f}.",
    ]
    if load > BUSY * cores:
        lines += ["The machine was busy with other work: wall times are too long, only CPU time can be compared."]
    lines += [
        "",
        "A row is the whole command with all processes it starts: reading services/ and settings, program, check of",
        "fields, policy pack, cost, JSON; with `--base` the same for the last commit, and the comparison. Peak MB is",
        "that of the largest process. 12 services are the project's own, in local with demo workloads; the others are",
        "generated. Growth is relative to the row above; it is linear where a further service costs the same.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| --- |{' ---: |' * (len(COLUMNS) - 1)}",
    ]
    for what in dict.fromkeys(r.what for r in results):
        rows = [r for r in results if r.what == what]
        lines += [_row(above, row) for above, row in zip([None, *rows], rows, strict=False)]
    lines += [
        "",
        shares,
        "Most of the pack's time is Pulumi's: it reads all resources again for each stack policy, and each of them",
        "again for each of the other policies.",
        "",
        f"Goal: {GOAL[0]} services in less than {GOAL[1]:g} s on two cores.",
    ]
    return "\n".join(lines) + "\n"


def _row(above: Measured | None, r: Measured) -> str:
    cells = [r.what, f"{r.services:,}", f"{r.wall:.1f}", f"{r.cpu:.1f}", f"{r.mb:.0f}", f"{r.objects:,}"]
    cells.append(f"{r.objects / r.services:.2f}")
    if above:
        cells.append(f"x {r.cpu / above.cpu:.1f} for x {r.services / above.services:.3g}")
        cells.append(f"{1000 * (r.cpu - above.cpu) / (r.services - above.services):.1f}")
        cells.append(f"x {r.objects / above.objects:.1f}")
    else:
        cells += [""] * 3
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
