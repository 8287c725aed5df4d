"""The gateway beside HAProxy, and beside no door at all: requests a second, latency, CPU, and whether all is on record.

`python -m benchmarks.gateway [--write] [--rounds 5] [--seconds 0.7]`. Real programs on loopback: devstore as the
backend; HAProxy (Debian's package, unpacked into the cache), which checks signature, issuer, audience and expiry of the
token; the gateway twice, its audit log once on disk and once in memory. Each question is asked by each path in turn,
round after round; a ratio is of two bursts of one round. Exit code 1: an answer was another than the backend's, or the
gateway's record is not what it answered.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.doors import Door, Doors
from local import LocalError, cache

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "gateway.md"
MEMORY: Final = Path("/dev/shm")
CONNECTIONS: Final = 16  # of a burst that takes all there is
PROFILES: Final = 8  # in the window that is asked for
MIXED: Final = 24  # times that each connection asks each question, refused ones too, when all are mixed
BUSY: Final = 0.75  # load average per core above which absolute figures say nothing


@dataclass(frozen=True)
class Record:
    """What a gateway answered, and what stands in its log."""

    door: str
    answered: int
    refused: int
    verified: str


def main() -> None:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5, help="after one that does not count")
    options.add_argument("--seconds", type=float, default=0.7, help="of one burst")
    options.add_argument("--write", action="store_true", help=f"write the result to {RESULTS.relative_to(ROOT)}")
    args = options.parse_args()
    if args.rounds < 1 or args.seconds <= 0:
        options.error("--rounds has to be 1 or more, and --seconds more than 0")
    if not MEMORY.is_dir():
        sys.exit(f"{MEMORY} is not there: this benchmark needs Linux")
    load = os.getloadavg()[0]
    try:
        with (
            TemporaryDirectory(prefix="bench-", dir=_cache()) as folder,
            TemporaryDirectory(prefix="flameplane-bench-", dir=MEMORY) as memory,
            Doors(Path(folder), Path(memory)) as doors,
        ):
            measured, records = _measured(doors, args.rounds, args.seconds)
            text = page(doors, measured, records, load, args)
    except LocalError as error:
        sys.exit(str(error))
    print(text)
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")


def _cache() -> Path:
    cache.root().mkdir(parents=True, exist_ok=True)
    return cache.root()


def _measured(doors: Doors, rounds: int, seconds: float) -> tuple[dict[str, Any], list[Record]]:
    strays = {door.name: doors.refuse_bad_tokens(door) for door in doors.all if door.process}
    plan = {
        "backend": doors.backend,
        "tokens": str(doors.tokens),
        "ids": str(doors.folder),
        "paths": [door.as_path() for door in doors.all],
        "pushes": doors.in_a_pod,
        "profiles": PROFILES,
        "rounds": rounds,
        "seconds": seconds,
        "connections": CONNECTIONS,
        "mixed": MIXED,
    }
    file = doors.folder / "plan.json"
    file.write_text(json.dumps(plan))
    done = subprocess.run([doors.bench, "load", "-plan", file], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit("\n".join(doors.said(door) for door in doors.all if door.process))
    found = json.loads(done.stdout)
    return found, [_recorded(doors, door, strays[door.name], found) for door in doors.all if door.audit]


def _recorded(doors: Doors, door: Door, strays: Sequence[str], found: dict[str, Any]) -> Record:
    """Hold the log against the answers: the same ids, each once, and a chain that is whole."""
    doors.stop(door)
    assert door.audit
    answered = sorted([*strays, *(doors.folder / f"{door.name}.ids").read_text().split()])
    lines = [json.loads(line) for file in sorted(door.audit.glob("*.jsonl")) for line in file.open()]
    recorded = sorted(line["http_request"]["uid"] for line in lines if "http_request" in line)
    if answered != recorded:
        sys.exit(f"{door.name} gave {len(answered)} answers; its log has {len(recorded)} lines, or others")
    command = ["-c", "from flameplane.cli import main; main()", "audit", "verify", str(door.audit)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{door.name}: {done.stdout}{done.stderr}")
    refused = found["refused"][door.name] + len(strays)
    denied = sum(line["action_id"] == 2 for line in lines if "http_request" in line)
    if denied != refused:
        sys.exit(f"{door.name} refused {refused} requests; {denied} lines say so")
    return Record(door.name, len(answered), refused, done.stdout.strip().splitlines()[-1].partition(";")[0])


Burst = dict[str, Any]


@dataclass(frozen=True)
class Rounds:
    """The bursts of one question at so many connections: by path, one for each round."""

    bursts: dict[str, list[Burst]]

    def of(self, path: str, value: Callable[[Burst], float]) -> list[float]:
        """A value of each round."""
        return [value(burst) for burst in self.bursts[path]]

    def each(self, path: str, value: Callable[[Burst, Burst], float], other: str = "direct") -> list[float]:
        """What a path is beside another, in each round."""
        return [value(one, base) for one, base in zip(self.bursts[path], self.bursts[other], strict=True)]

    def against(self, path: str, value: Callable[[Burst, Burst], float], other: str = "direct") -> str:
        """The same: median, least and most."""
        return _spread(self.each(path, value, other))


def _spread(each: Sequence[float], form: str = ".2f") -> str:
    return f"{median(each):{form}} ({min(each):{form}} to {max(each):{form}})"


def _rounds(bursts: Sequence[Burst], connections: int) -> Iterator[tuple[str, Rounds]]:
    counted = [b for b in bursts if b["round"] and b["connections"] == connections]
    for call in dict.fromkeys(b["call"] for b in counted):
        paths: dict[str, list[Burst]] = {}
        for burst in counted:
            if burst["call"] == call:
                paths.setdefault(burst["path"], []).append(burst)
        yield call, Rounds(paths)


IN_MEMORY: Final = "gateway-in-memory"
OTHERS: Final = ("HAProxy", "gateway", IN_MEMORY)
TITLES: Final = ("HAProxy", "gateway", "gateway, log in memory")


def page(doors: Doors, found: dict[str, Any], records: Sequence[Record], load: float, args: argparse.Namespace) -> str:
    """The results."""
    cores = os.cpu_count() or 1
    bursts = found["bursts"]
    lines = [
        "# The gateway under load",
        "",
        "Written by `python -m benchmarks.gateway --write`, which says what runs.",
        f"{cores} cores, {platform.machine()}, HAProxy {doors.haproxy_version}, audit log on "
        f"{_filesystem(doors.folder)};",
        f"{args.rounds} rounds, bursts of {args.seconds:g} s; load average before: {load:.1f}.",
        *(["The machine was busy with other work: only ratios can be compared."] if load > BUSY * cores else []),
        "",
        "Each figure is the median over the rounds (least to most). Generator, door and backend share the cores, so a",
        "ratio of requests per second is one of CPU time too. HAProxy verifies the token and passes bytes on. The",
        "gateway verifies it as well, decodes the body, decides, encodes anew, holds the answer, writes a line of the",
        "audit log, syncs it, and then answers. Every answer was compared with the backend's own.",
        "",
        f"Views are flame graphs of {PROFILES} profiles; in protobuf packed by gzip, as Grafana asks for them. A push",
        f"is one profile of {found['pushed'] / 1000:.0f} KB by a service account, for whose token the gateway asks an",
        "API server (a stand-in) every 30 s. The backend is devstore: another one has other costs, of which the door",
        "is another part. In bytes, its answers: "
        + ", ".join(f"{name} {size:,}" for name, size in found["bytes"].items())
        + ".",
        "",
        f"## Requests per second, {CONNECTIONS} connections",
        "",
        *_table(["direct /s", *(f"{t} / direct" for t in TITLES)], _rates(bursts)),
        "",
        "## Latency, one connection",
        "",
        "Of direct, ms; of the others, how many times that of direct in the same round, and the median of ms more.",
        "",
        *_table(["direct p50", *(f"{t} / direct" for t in TITLES)], _latencies(bursts, "p50")),
        "",
        *_table(["direct p99", *(f"{t} / direct" for t in TITLES)], _latencies(bursts, "p99")),
        "",
        "A burst by one connection has few answers where each takes long: p99 is then the slowest of them.",
        "",
        "## What the sync of the audit log costs",
        "",
        "The gateway with its log on disk, beside the one with it in memory: requests per second as a ratio, and by",
        "one connection ms more, and which part of the whole time that is.",
        "",
        *_table(["requests per second", "p50, ms more", "part of p50"], _sync(bursts)),
        "",
        "## CPU of the door itself",
        "",
        f"Microseconds a request, {CONNECTIONS} connections, all rounds together.",
        "",
        *_table(list(TITLES), _cpu(bursts)),
        "",
        "## The record",
        "",
    ]
    for record in records:
        lines.append(
            f"- {record.door}: {record.answered:,} requests were answered, {record.refused:,} of them by a refusal, "
            f"and the log has a line for each, by its id. `flameplane audit verify`: {record.verified}."
        )
    if not doors.in_a_pod:
        lines += ["", "Pushes: NOT RUN. They need an API server's word, and this machine gives no mount namespace."]
    return "\n".join(lines) + "\n"


def _table(columns: list[str], rows: Iterator[list[str]]) -> list[str]:
    head = [f"| | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    return head + [f"| {' | '.join(row)} |" for row in rows]


def _rates(bursts: Sequence[Burst]) -> Iterator[list[str]]:
    for call, rounds in _rounds(bursts, CONNECTIONS):
        direct = _spread(rounds.of("direct", lambda b: b["rate"]), ",.0f")
        yield [call, direct, *(rounds.against(path, lambda one, base: one["rate"] / base["rate"]) for path in OTHERS)]


def _latencies(bursts: Sequence[Burst], which: str) -> Iterator[list[str]]:
    for call, rounds in _rounds(bursts, 1):
        direct = _spread(rounds.of("direct", lambda b: b[which]))
        times = (rounds.against(path, lambda one, base: one[which] / base[which]) for path in OTHERS)
        more = (median(rounds.each(path, lambda one, base: one[which] - base[which])) for path in OTHERS)
        yield [call, direct, *(f"{ratio}, {ms:+.2f} ms" for ratio, ms in zip(times, more, strict=True))]


def _sync(bursts: Sequence[Burst]) -> Iterator[list[str]]:
    few = dict(_rounds(bursts, 1))
    for call, rounds in _rounds(bursts, CONNECTIONS):
        rate = rounds.against("gateway", lambda one, base: one["rate"] / base["rate"], IN_MEMORY)
        more = few[call].against("gateway", lambda one, base: one["p50"] - base["p50"], IN_MEMORY)
        part = few[call].against("gateway", lambda one, base: 1 - base["p50"] / one["p50"], IN_MEMORY)
        yield [call, rate, more, part]


def _cpu(bursts: Sequence[Burst]) -> Iterator[list[str]]:
    for call, rounds in _rounds(bursts, CONNECTIONS):
        shares = (sum(rounds.of(p, lambda b: b["cpu"])) / sum(rounds.of(p, lambda b: b["requests"])) for p in OTHERS)
        yield [call, *(f"{share * 1e6:,.0f}" for share in shares)]


def _filesystem(folder: Path) -> str:
    done = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


if __name__ == "__main__":
    main()
