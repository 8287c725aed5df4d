"""`make test`: lint, then the four tiers, each in a process of its own; one table at the end says what ran.

A test that could not run is NOT RUN with its reason, never passed. The exit code is 1 when anything failed, when the
plan tier ran nothing, or when the cluster tier ran nothing on a machine that was there to run it (CI as root).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
TIERS = {
    "plan": ("tests/plan", "tests/policies"),
    "cluster": ("tests/cluster",),
    "engine": ("tests/engine",),
    "upstream": ("tests/upstream",),
}
LINT = {
    "ruff check": ("ruff", "check", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy", "flameplane", "flameplane_provider", "schemas", "components", "policies", "local"),
}
# Tests of the plan tier share nothing but the cache of built things, which knows of others. The other tiers are about
# one cluster and one set of ports.
SIDE_BY_SIDE = {"plan": ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "worksteal"]}
NOTHING_COLLECTED = 5  # pytest's exit code
REASON_WIDTH = 100  # characters of a reason in the table


@dataclass
class Row:
    """One line of the table. `not_run` counts reasons, `broken` says why a tier counts as failed as a whole."""

    name: str
    passed: int = 0
    failed: int = 0
    not_run: Counter[str] = field(default_factory=Counter)
    seconds: float = 0
    broken: str = ""


def main() -> int:
    """Run what was asked for, print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python tests/run.py", description=__doc__)
    parser.add_argument("--lint", action="store_true", help="lint alone")
    parser.add_argument("--tier", action="append", choices=TIERS, help="this tier alone; may be repeated")
    arguments = parser.parse_args()
    rows = [] if arguments.tier else [lint()]
    if not arguments.lint:
        rows += [run_tier(name) for name in arguments.tier or TIERS]
    print("\n" + "\n".join(table(rows)))
    broken = [f"{row.name}: {row.broken}" for row in rows if row.broken]
    print("".join(f"\nFAILED {line}" for line in broken))
    passed, failed = sum(row.passed for row in rows), sum(row.failed for row in rows) + len(broken)
    skipped = sum(row.not_run.total() for row in rows)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


def lint() -> Row:
    """Every linter runs, also when an earlier one failed."""
    row = Row("lint")
    start = time.monotonic()
    for name, command in LINT.items():
        heading(name)
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False)
        row.passed += done.returncode == 0
        row.failed += done.returncode != 0
    row.seconds = time.monotonic() - start
    return row


def run_tier(name: str) -> Row:
    """One pytest process; its output goes straight to the terminal, its results come from the JUnit file."""
    heading(f"tier {name}")
    start = time.monotonic()
    folders = [folder for folder in TIERS[name] if any((ROOT / folder).rglob("test_*.py"))]
    code, row = NOTHING_COLLECTED, Row(name)
    if folders:
        with tempfile.TemporaryDirectory() as scratch:
            report = Path(scratch) / "junit.xml"
            options = [
                "-q",
                "--tb=short",
                "-p",
                "no:cacheprovider",
                f"--junit-xml={report}",
                *SIDE_BY_SIDE.get(name, []),
            ]
            command = [sys.executable, "-m", "pytest", *options, *folders]
            code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
            row = read(name, report)
    row.seconds = time.monotonic() - start
    if code not in (0, 1, NOTHING_COLLECTED):
        row.broken = f"pytest ended with code {code}"
    elif not row.passed + row.failed:
        row.broken = nothing_ran(row)
    return row


def read(name: str, report: Path) -> Row:
    """Count the results of a JUnit file. A test can have several (a failure and an error while it is torn down)."""
    row = Row(name)
    if not report.is_file():
        return row
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            row.failed += 1
        elif skipped is not None:
            row.not_run[" ".join((skipped.get("message") or "no reason").removeprefix("NOT RUN: ").split())] += 1
        else:
            row.passed += 1
    return row


def nothing_ran(row: Row) -> str:
    """Why a tier without a single result is a failure; nothing where that is as it has to be."""
    if row.name == "plan":
        return "no test ran"
    if row.name != "cluster":
        if not row.not_run:
            row.not_run["no tests yet"] = 0
        return ""
    able = os.environ.get("CI") == "true" and os.geteuid() == 0
    return "no test ran, and this machine is there to run them" if able or not row.not_run else ""


def table(rows: Sequence[Row]) -> list[str]:
    """Aligned columns; each further reason of a tier has a line of its own."""
    lines = [("tier", "passed", "failed", "NOT RUN", "time", "why not run")]
    for row in rows:
        reasons = [f"{count}: {cut(reason)}" if count else reason for reason, count in row.not_run.most_common()]
        counts = (str(row.passed), str(row.failed), str(row.not_run.total()))
        lines.append((row.name, *counts, f"{row.seconds:.0f} s", reasons[0] if reasons else ""))
        lines += [("", "", "", "", "", reason) for reason in reasons[1:]]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[5]]).rstrip() for line in lines]


def cut(text: str) -> str:
    """A reason short enough for the table; the whole of it stands in pytest's output."""
    return text if len(text) <= REASON_WIDTH else text[: REASON_WIDTH - 3] + "..."


def heading(text: str) -> None:
    """A line above the output of a program, written before it."""
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
