"""Time and memory of `flameplane validate` beside check-jsonschema on the same files, for fleets of 12, 200 and 2,000.

`python -m benchmarks.validate [--write]`. Both run as commands, alternating, three times each; the least CPU time
counts. check-jsonschema checks the shape of the service files alone; validate reads team and organisation files too,
applies inheritance and limits, compares services with each other, and knows line and column. Exit code 1: slower than
5 ms a service.
"""

import argparse
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.fleet import generate

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "validate.md"
SIZES = (12, 200, 2000)
RUNS = 3
GOAL = 0.005  # CPU seconds per service at the largest size


@dataclass(frozen=True)
class Usage:
    """What one command took: seconds, seconds of CPU, peak memory in MB."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help=f"write the result to {RESULTS.relative_to(ROOT)}")
    args = options.parse_args()
    results = {size: measure(size) for size in SIZES}
    text = table(results)
    print(text)
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")
    largest = max(SIZES)
    each = results[largest][0].cpu / largest
    sys.exit(f"{each * 1000:.1f} ms a service; the goal is {GOAL * 1000:g} ms" if each > GOAL else 0)


def measure(size: int) -> tuple[Usage, Usage]:
    """Least usage of validate and of check-jsonschema on a fleet of ``size``."""
    with TemporaryDirectory() as folder:
        generate(Path(folder), size)
        files = [str(file) for file in sorted(Path(folder).rglob("service.yaml"))]
        schema = str(ROOT / "schemas" / "service.v1.schema.json")
        ours = ["-c", "from flameplane.cli import main; main()", "validate", folder]
        theirs = ["-m", "check_jsonschema", "--schemafile", schema, *files]
        pairs = [(usage(ours), usage(theirs)) for _ in range(RUNS)]
    return min((p[0] for p in pairs), key=lambda u: u.cpu), min((p[1] for p in pairs), key=lambda u: u.cpu)


def usage(arguments: list[str]) -> Usage:
    """Run Python with ``arguments``; the command has to find nothing wrong."""
    started = perf_counter()
    with Path(os.devnull).open("w") as nowhere:
        quiet = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1), (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pid = os.posix_spawn(sys.executable, [sys.executable, *arguments], environment, file_actions=quiet)
        _, status, used = os.wait4(pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(f"exit code {code} of: python {' '.join(arguments[:4])} ...")
    memory = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Usage(perf_counter() - started, used.ru_utime + used.ru_stime, memory)


def table(results: dict[int, tuple[Usage, Usage]]) -> str:
    """The results as a page."""
    lines = [
        "# Time and memory of `flameplane validate`",
        "",
        "Written by `python -m benchmarks.validate --write`, which says what is compared.",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"check-jsonschema {version('check-jsonschema')}; least of {RUNS} runs each.",
        "",
        "| Services | validate: wall s | CPU s | ms each | MB | check-jsonschema: wall s | CPU s | MB | CPU ratio |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for size, (ours, theirs) in results.items():
        cells = [
            f"{size:,}",
            f"{ours.wall:.2f}",
            f"{ours.cpu:.2f}",
            f"{ours.cpu / size * 1000:.1f}",
            f"{ours.memory:.0f}",
            f"{theirs.wall:.2f}",
            f"{theirs.cpu:.2f}",
            f"{theirs.memory:.0f}",
            f"{ours.cpu / theirs.cpu:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return (
        "\n".join(lines) + f"\n\nGoal: less than {GOAL * 1000:g} ms of CPU a service in a fleet of {max(results):,}.\n"
    )


if __name__ == "__main__":
    main()
