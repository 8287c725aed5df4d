"""Bytes that one Go pod leaves in Pyroscope's compacted blocks in a month, beside the target of 10 GB per service.

`python -m benchmarks.stored [--write]`. Needs Pyroscope 2.2 or newer (FLAMEPLANE_PYROSCOPE, or `pyroscope` on PATH) and
Go. Exit code 3 where one is missing, 1 when something was lost on the way or blocks were not compacted in time.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from flameplane.cost import constants as cost
from local import golang
from tests.upstream.servers import Pyroscope, one_process, request

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "stored.md"
POD: Final = ROOT / "benchmarks" / "pod"
TENANT: Final = "pod"
WINDOWS: Final = 840  # 3.5 h of a pod: what one block of the last level holds, which is closed after 3 h at the latest
WINDOWS_A_MONTH: Final = 30 * 86_400 // 15
TARGET_GB: Final = 10  # per service and month
COMPACTED_WITHIN: Final = 600.0  # seconds after the last push
SETTLED: Final = 30.0  # seconds without a change, after all ages
CPU: Final = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
# Pyroscope's own numbers of blocks that are merged, but for their ages: a pod's time is compressed here, so theirs is.
# What was merged is deleted at once instead of after 15 minutes, so that what is left is what counts.
AGES: Final = (5, 60, 120)  # seconds; Pyroscope's are 36 s, 12 minutes, 3 hours
COMPACTION: Final = f"""\
metastore:
  levels:
  - {{maxblocks: 20, maxage: {AGES[0]}000000000}}
  - {{maxblocks: 10, maxage: {AGES[1]}000000000}}
  - {{maxblocks: 10, maxage: {AGES[2]}000000000}}
  cleanupdelay: 1s
"""
LAST_MERGE: Final = re.compile(
    r"^pyroscope_compaction_worker_jobs_completed_total"
    rf'\{{level="{len(AGES) - 1}",status="success",tenant="{TENANT}"\}} [1-9]',
    re.MULTILINE,
)
LIMITS: Final = f"""\
overrides:
  {TENANT}: {{reject_older_than: 24h, ingestion_rate_mb: 1024, ingestion_burst_size_mb: 1024}}
"""


@dataclass(frozen=True)
class Measured:
    """What was pushed (by the program of benchmarks/pod), and what is stored of it."""

    pushed: dict[str, Any]
    version: str
    blocks: int
    stored: int  # bytes

    @property
    def per_window(self) -> float:
        """Bytes of one push of CPU and one of heap."""
        return self.stored / float(self.pushed["windows"])

    @property
    def gb_a_month(self) -> float:
        """Of one pod."""
        return self.per_window * WINDOWS_A_MONTH / 1e9


def main() -> None:
    """Measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help=f"write the result to {RESULTS.relative_to(ROOT)}")
    options.add_argument("--windows", type=int, default=WINDOWS, help=f"of 15 s; {WINDOWS} without")
    options.add_argument("--capture", default="2m", help="how long the pod runs to be captured; 2m without")
    args = options.parse_args()
    named = os.environ.get("FLAMEPLANE_PYROSCOPE")
    binary = shutil.which(named or "pyroscope")
    if not binary:
        why = f"FLAMEPLANE_PYROSCOPE names no program: {named}" if named else "no pyroscope on PATH"
        print(f"NOT RUN: {why}; name one of 2.2 or newer in FLAMEPLANE_PYROSCOPE", file=sys.stderr)
        sys.exit(3)
    load = os.getloadavg()[0]
    with TemporaryDirectory() as folder:
        found = measure(Path(binary), Path(folder), args.windows, args.capture)
    text = page(found, load)
    print(text)
    if args.write:
        RESULTS.write_text(text)


def measure(binary: Path, folder: Path, windows: int, capture: str) -> Measured:
    """Push, wait until it is compacted to the last level, and look at the size of what is left."""
    pod = golang.build(POD, ".", "benchmark-pod")
    with one_process(binary.resolve(), folder, COMPACTION, LIMITS) as server, filler(server):
        command: list[str | Path] = [pod, "-url", server.url, "-tenant", TENANT]
        command += ["-windows", str(windows), "-capture", capture]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the pod ended with exit code {done.returncode}:\n{done.stderr}")
        pushed = json.loads(done.stdout.splitlines()[-1])
        blocks = compacted(folder, server)
        if (kept := total(server, windows)) != pushed["cpu"]:
            sys.exit(f"{pushed['cpu']} ns of CPU were pushed, {kept} are stored")
    version = subprocess.run([binary, "-version"], capture_output=True, text=True, check=True)
    words = (version.stdout + version.stderr).split("version ")[-1].split()
    return Measured(pushed, words[0].strip(","), len(blocks), sum(blocks))


@contextmanager
def filler(server: Pyroscope) -> Iterator[None]:
    """A trickle of another tenant's: blocks get merged and deleted only while something arrives."""
    ended = threading.Event()

    def push() -> None:
        while not ended.wait(0.5):
            now = int(time.time())
            asked = f"{server.url}/ingest?name=filler&format=folded&from={now - 1}&until={now}"
            headers = {"X-Scope-OrgID": "filler", "Content-Type": "text/plain"}
            with contextlib.suppress(OSError):  # it is only there to keep Pyroscope awake
                urllib.request.urlopen(urllib.request.Request(asked, b"main;idle 1\n", headers), timeout=30).close()

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def compacted(folder: Path, server: Pyroscope) -> list[int]:
    """Sizes of the tenant's blocks once nothing is merged any more.

    That is: blocks of the last level were made, all ages are over, and for a while nothing has changed.
    """
    start = changed = time.monotonic()
    before: dict[Path, int] = {}
    while time.monotonic() < start + COMPACTED_WITHIN:
        now = {block: block.stat().st_size for block in folder.glob(f"blocks/blocks/*/{TENANT}/*/block.bin")}
        if now != before:
            before, changed = now, time.monotonic()
        if time.monotonic() > max(start + sum(AGES), changed + SETTLED) and LAST_MERGE.search(
            request(f"{server.admin}/metrics").text
        ):
            return list(now.values())
        time.sleep(1)
    sys.exit(f"after {COMPACTED_WITHIN:g} s blocks of {TENANT} are still merged: {len(before)}")


def total(server: Pyroscope, windows: int) -> int:
    """CPU nanoseconds that Pyroscope has of the pod."""
    now = int(time.time() * 1000)
    asked = {"profile_typeID": CPU, "label_selector": "{}", "start": now - windows * 15_000 - 3_600_000, "end": now}
    answer = server.call("querier.v1.QuerierService/SelectMergeStacktraces", asked, TENANT)
    if answer.status != 200:
        sys.exit(f"the CPU time cannot be read back: {answer}")
    return int(json.loads(answer.text)["flamegraph"]["total"])


def page(m: Measured, load: float) -> str:
    """The result as a page."""
    p = m.pushed
    raw, wire = p["cpuRaw"] + p["heapRaw"], p["cpuWire"] + p["heapWire"]
    month = WINDOWS_A_MONTH / 1e9
    estimated = p["stacks"] * cost.STORED_BYTES_PER_STACK + cost.STORED_BYTES_PER_HEAP_PUSH
    functions, stacks, hours = f"{p['functions']:,}", f"{p['stacks']:.0f}", f"{p['windows'] * 15 / 3600:.1f}"
    left = "1 block was left" if m.blocks == 1 else f"{m.blocks} blocks were left"
    return f"""\
# Stored bytes of a pod in a month

Written by `python -m benchmarks.stored --write`.
Pyroscope {m.version}, one process on a folder, {platform.machine()}; load average before: {load:.1f}.

| one Go pod, one busy core, 99 Hz, CPU and heap (4 types), windows of 15 s | KB a window | GB a month |
| --- | ---: | ---: |
| raw, which is what Pyroscope's own metrics count | {raw / 1e3:.1f} | {raw * month:.1f} |
| on the wire, gzip | {wire / 1e3:.1f} | {wire * month:.1f} |
| **stored: compacted `blocks/`** | **{m.per_window / 1e3:.2f}** | **{m.gb_a_month:.2f}** |

The target is {TARGET_GB} GB stored per service and month: {int(TARGET_GB / m.gb_a_month)} such pods.
Stored is {m.per_window / raw:.3f} of raw, {m.per_window / 2e3:.2f} KB a push.
`flameplane plan` reckons by stacks: {estimated / 1e3:.1f} KB for windows such as these.

## Method

`benchmarks/pod` is an HTTP service in Go (JSON, templates, gzip, HMAC, a cache under a lock), with callers of it in the
same process, which is profiled as an agent does it: CPU by the runtime at 99 Hz, deltas of the heap every 15 s. That
gave {p["captured"]:,} samples of CPU in {functions} functions. Each window is drawn from them anew, with replacement: \
1,485
samples in {stacks} distinct stacks ({p["cpuRaw"] / 1e3:.0f} KB raw), and one delta of the heap whose counts vary as \
samples do
({p["heapRaw"] / 1e3:.0f} KB). Labels are the eight that a pod of the platform has.

{p["windows"]:,} windows ({hours} h of the pod) were pushed with times of their own, as fast as they are taken, and
compacted to Pyroscope's last level. A merge takes as many blocks as it does by default; ages are shorter, as \
the time is.
{left}, in which all the CPU time was found, to the nanosecond. Their bytes by windows, times \
{WINDOWS_A_MONTH:,} windows.

Not in it: stacks that show up once in hours, ids of spans, versions that come and go, segments that are not compacted \
yet
(minutes), the metastore's index (its own disk). Another service has other stacks, another language others still.
"""


if __name__ == "__main__":
    main()
