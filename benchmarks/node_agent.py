"""The node agent beside the OpenTelemetry eBPF profiler: CPU, memory and time in the kernel, under the same load.

`python -m benchmarks.node_agent [--write] [--seconds 30] [--other TEXT]`. As root on Linux with BTF, with Go and gcc.
The other profiler is FLAMEPLANE_OTEL_PROFILER, the path of its binary; what does not start is NOT RUN, with what it
said. Each is started alone, beside programs that keep every CPU busy, and once more beside 1,000 processes a minute
that end at once. Exit code 3: this machine cannot run it.
"""

import argparse
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import grpc  # type: ignore[import-untyped]

from benchmarks.profilers import STATS, Cost, DidNotStart, Profiler, measured
from local import LocalError, bpf, golang
from local.images.recipes import DATAPLANE

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "node_agent.md"
INSIDE: Final = "FLAMEPLANE_BENCH_MOUNTS"  # set in the mount namespace that the benchmark starts itself in
OTHER: Final = "FLAMEPLANE_OTEL_PROFILER"
OURS: Final = "Flameplane, 99 Hz"
CHURN: Final = 60 / 1000  # seconds between two processes


def main() -> None:
    """Measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0, help="that each profiler is measured for")
    options.add_argument("--write", action="store_true", help=f"write the result to {RESULTS.relative_to(ROOT)}")
    options.add_argument("--other", default="", help="what the other profiler is: version, build")
    args = options.parse_args()
    if os.geteuid() != 0 or not Path("/sys/kernel/btf/vmlinux").exists():
        print("NOT RUN: it needs root, and a Linux kernel with BTF", file=sys.stderr)
        sys.exit(3)
    if INSIDE not in os.environ:  # mounts and pins end with it
        again = [sys.executable, "-m", "benchmarks.node_agent", *sys.argv[1:]]
        sys.exit(
            subprocess.call(
                ["unshare", "--mount", "--propagation", "private", *again],
                env={**os.environ, INSIDE: "1", "GRPC_ENABLE_FORK_SUPPORT": "false"},
            )
        )
    load = os.getloadavg()[0]
    try:
        with TemporaryDirectory(prefix="flameplane-bench-") as folder, _kernel_measures():
            rows = list(_rows(Path(folder), args.seconds))
    except LocalError as error:
        sys.exit(str(error))
    text = page(rows, args.seconds, load, args.other)
    print(text)
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")


def _rows(folder: Path, seconds: float) -> Iterator[tuple[str, str, Cost | str]]:
    with _collector() as address, _ours(folder) as ours:
        profilers = [ours, *_theirs(address)]
        spinner = _spinner(folder)
        for load in ("steady", "churn"):
            for profiler in profilers:
                with _busy(spinner, churn=load == "churn"):
                    try:
                        yield load, profiler.name, measured(profiler, seconds, folder)
                    except DidNotStart as why:
                        yield load, profiler.name, f"NOT RUN: {why}"


@contextmanager
def _ours(folder: Path) -> Iterator[Profiler]:
    agent = golang.build(DATAPLANE, "./cmd/agent", "agent", overlay=bpf.overlay(DATAPLANE, "bpf"))
    mount, profiles, services = folder / "bpf", folder / "profiles", folder / "services.json"
    for each in (mount, profiles):
        each.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", mount], check=True)
    pins = mount / "agent"
    pins.mkdir()
    services.write_text('{"baseRateHz": 99}')
    yield Profiler(
        OURS,
        [
            str(agent),
            "agent",
            f"--pins={pins}",
            f"--services={services}",
            f"--folder={profiles}",
            "--metrics=127.0.0.1:0",
        ],
        before=[str(agent), "loader", f"--pins={pins}", "--gid=0"],
    )
    subprocess.run(["umount", mount], check=True)


def _theirs(collector: str) -> Iterator[Profiler]:
    binary = os.environ.get(OTHER)
    if not binary:
        print(f"NOT RUN: the OpenTelemetry profiler ({OTHER} is not set)", file=sys.stderr)
        return
    tracing = Path("/sys/kernel/tracing")
    if not (tracing / "events").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", tracing], check=True)
    command = [binary, f"-collection-agent={collector}", "-disable-tls"]
    yield Profiler("OpenTelemetry, 20 Hz (its default)", command)
    yield Profiler("OpenTelemetry, 99 Hz", [*command, "-samples-per-second=99"])


def _spinner(folder: Path) -> Path:
    program = folder / "busy"
    source = DATAPLANE / "cmd" / "agent" / "testdata" / "busyc" / "busy.c"
    subprocess.run(["gcc", "-O1", "-fno-omit-frame-pointer", "-o", program, source], check=True)
    return program


@contextmanager
def _busy(spinner: Path, *, churn: bool) -> Iterator[None]:
    """Every CPU: half of them in C, half in Python; and processes that end at once."""
    loops: list[Sequence[str]] = [[str(spinner), "3600"], [sys.executable, "-c", "while True: sum(range(1000))"]]
    ended = threading.Event()
    with ExitStack() as all_of_them:
        for number in range(os.cpu_count() or 1):
            child = subprocess.Popen(loops[number % len(loops)], stdout=subprocess.DEVNULL)
            all_of_them.callback(child.wait)
            all_of_them.callback(child.kill)
        if churn:
            thread = threading.Thread(target=_churn, args=(ended,))
            thread.start()
            all_of_them.callback(thread.join)
            all_of_them.callback(ended.set)
        yield


def _churn(ended: threading.Event) -> None:
    while not ended.wait(CHURN):
        subprocess.run(["/bin/true"], check=False)


@contextmanager
def _kernel_measures() -> Iterator[None]:
    """The kernel counts what its BPF programs take; as it was before, afterwards."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


class _Anything(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A collector that takes whatever is sent."""

    def service(self, _details: object) -> object:
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


@contextmanager
def _collector() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[_Anything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def page(rows: Sequence[tuple[str, str, Cost | str]], seconds: float, load: float, other: str) -> str:
    """The result as it stands in ``benchmarks/node_agent.md``."""
    lines = [
        "# The node agent beside the OpenTelemetry eBPF profiler",
        "",
        "Written by `python -m benchmarks.node_agent --write`, which says what is compared.",
        f"Linux {platform.release().partition('-')[0]}, {os.cpu_count()} cores, {platform.machine()}; "
        f"{seconds:.0f} s each; load average before: {load:.1f}.",
        "",
        "CPU is of the process and of its BPF programs together, in percent of one core. Memory is what is charged to",
        "its group, BPF maps included. The agent writes into a folder here: in a cluster it watches pods as well.",
        "The other unwinds without frame pointers and through interpreters, most of which the agent does not.",
        *([f"OpenTelemetry's: {other}"] if other else []),
        "",
        "| load | profiler | CPU % | in the kernel % | µs a sample | samples a second | memory MB | resident MB |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    ours: dict[str, Cost] = {}
    ratios = []
    for name, profiler, cost in rows:
        if isinstance(cost, str):
            lines.append(f"| {name} | {profiler} | {cost} | | | | | |")
            continue
        lines.append(_row(name, profiler, cost))
        if profiler == OURS:
            ours[name] = cost
        elif first := ours.get(name):
            ratios.append(
                f"- {name}, {profiler}: {_share(cost) / _share(first):.1f} times the CPU, "
                f"{cost.memory / first.memory:.1f} times the memory of Flameplane's"
            )
    return "\n".join([*lines, "", *ratios]).rstrip() + "\n"


def _share(cost: Cost) -> float:
    return (cost.cpu + cost.kernel) / cost.wall


def _row(load: str, profiler: str, cost: Cost) -> str:
    each = cost.sampling / cost.samples * 1e6 if cost.samples else 0
    cells = (
        f"{_share(cost) * 100:.2f}",
        f"{cost.kernel / cost.wall * 100:.2f}",
        f"{each:.1f}",
        f"{cost.samples / cost.wall:.0f}",
        f"{cost.memory / 1e6:.0f}",
        f"{cost.resident / 1e6:.0f}",
    )
    return f"| {load} | {profiler} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
