"""`flameplane downsample` between the real gateway's door and devstore, or the real Pyroscope, with rendered files.

Proves that both tiers agree to the nanosecond, that a run repeated or broken off counts nothing twice, that a missed
hour is caught up and one too late is refused, and what a day-old push would have come to. One thing differs from the
cluster: the team's own tenant takes profiles that are a day old, since the test has no hours to wait.
"""

import gzip
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from gateway_door import Door, build, door
from pprof_samples import CPU, INUSE, profile
from servers import devstore, pyroscope, until
from test_upstream_pyroscope import Rendered, on_folder
from typer.testing import CliRunner

from flameplane.backend import Gateway, Steps, totals
from flameplane.cli import app
from flameplane.downsample.hours import MILLIS, instant
from flameplane.wire.pyroscope_pb2 import (
    LabelPair,
    ProfileTypesRequest,
    ProfileTypesResponse,
    PushRequest,
    PushResponse,
    RawProfileSeries,
    RawSample,
)

LABELS = {"service_name": "checkout", "team": "payments", "namespace": "shop", "container": "app"}
EVERY = 60_000  # milliseconds between uploads of a pod: a quarter of what a real one sends
LONG = "payments-longterm"


@dataclass
class World:
    """A backend, the door before it, and a client of each kind."""

    backend: str
    gateway: Door
    folder: Path

    def client(self, who: str) -> Gateway:
        token = self.folder / who
        token.write_text(self.gateway.tokens[who])
        return Gateway(self.gateway.url, token, 4)

    def push(self, hour: int, pods: Sequence[str], kind: str, version: str, scale: int = 1) -> tuple[int, int]:
        """What pods of one version upload in an hour; the total, and the bytes."""
        series, total, size = [], 0, 0
        for number, pod in enumerate(pods):
            for at in range(hour + 997 * number, hour + MILLIS, EVERY):
                busy = 7 + (at // EVERY) % 5
                stacks = {(f"leaf{n}", f"step{n % 20}", "main"): scale * busy * (n + 1) for n in range(60)}
                raw = gzip.compress(profile(stacks, kind, at).SerializeToString())
                labels = {**LABELS, "pod": pod, "version": version, "__name__": kind.partition(":")[0]}
                pairs = [LabelPair(name=name, value=value) for name, value in labels.items()]
                series.append(RawProfileSeries(labels=pairs, samples=[RawSample(raw_profile=raw)]))
                total, size = total + sum(stacks.values()), size + len(raw)
        self.client("node").push(PushRequest(series=series), PushResponse)
        return total, size

    def run(self, *options: str) -> tuple[int, str, str]:
        self.client("downsample")
        token = self.folder / "downsample"
        command = ["downsample", f"--gateway={self.gateway.url}", f"--gateway-token={token}", "--team=payments"]
        done = CliRunner().invoke(app, [*command, *options])
        return done.exit_code, done.stdout, done.stderr

    def total(self, tenant: str, kind: str, hour: int, *by: str) -> dict[tuple[tuple[str, str], ...], float]:
        steps = Steps(hour, hour + MILLIS, MILLIS)
        found = totals(self.client("downsample"), tenant, kind, "{}", steps=steps, group_by=by)
        return {labels: value for (labels, _), value in found.items()}


@pytest.fixture(scope="module", params=["devstore", "pyroscope"])
def world(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    binary = request.getfixturevalue("pyroscope_binary") if request.param == "pyroscope" else None
    rendered, folder = Rendered.of(root, "local"), tmp_path_factory.mktemp(request.param)
    limits = yaml.safe_load(rendered.files["overrides.yaml"])
    limits["overrides"]["payments"]["reject_older_than"] = "24h"
    files = {**rendered.files, "overrides.yaml": yaml.safe_dump(limits)}
    program = build(folder)
    started = pyroscope(binary, folder, files, on_folder(folder)) if binary else devstore(folder, files)
    with started as server, door(program, server.url) as gateway:
        yield World(request.param, gateway, folder)


@pytest.fixture(autouse=True)
def _here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def hours_ago(count: int) -> int:
    """Start of the hour, counted back from the last closed one."""
    return (int(time.time() * 1000) - MILLIS) // MILLIS * MILLIS - (1 + count) * MILLIS


def test_an_hour_is_identical_in_both_tiers(world: World) -> None:
    hour = hours_ago(0)
    one, size_one = world.push(hour, ["checkout-1", "checkout-2", "checkout-3"], CPU, "1.4.0")
    two, size_two = world.push(hour, ["checkout-4", "checkout-5"], CPU, "1.5.0")
    fine = world.total("payments", CPU, hour)
    assert fine == {(): one + two}
    code, told, errors = world.run()
    assert code == 0, errors
    assert "2 profiles merged" in told
    assert world.total(LONG, CPU, hour) == fine
    by_version = {(("version", "1.4.0"),): one, (("version", "1.5.0"),): two}
    assert world.total(LONG, CPU, hour, "version", "pod") == by_version
    assert set(world.total(LONG, CPU, hour, "resolution")) == {(("resolution", "1h"),)}
    pushed = float(told.split("merged (")[1].split(" kB")[0]) * 1000
    ratio = pushed / (size_one + size_two)
    print(f"\n300 fine profiles, {size_one + size_two} bytes; 2 hourly ones, {pushed:.0f} bytes: {ratio:.3f} of it")


def test_twice_is_no_double(world: World) -> None:
    before = world.total(LONG, CPU, hours_ago(0))
    code, told, _ = world.run()
    assert code == 0
    assert "0 profiles merged" in told
    assert "2 there already" in told
    assert world.total(LONG, CPU, hours_ago(0)) == before


def test_a_missed_hour_is_caught_up(world: World) -> None:
    missed = hours_ago(17)
    total, _ = world.push(missed, ["checkout-1"], CPU, "1.3.0")
    code, told, errors = world.run()
    assert code == 0, errors
    assert "1 profiles merged" in told
    assert world.total(LONG, CPU, missed) == {(): total}


def test_a_size_is_kept_once_a_pod(world: World) -> None:
    hour = hours_ago(2)
    total, _ = world.push(hour, ["a", "b", "c"], INUSE, "1.4.0")
    code, _, errors = world.run()
    assert code == 0, errors
    steps = Steps(hour, hour + MILLIS, 1000)
    fine = totals(world.client("downsample"), "payments", INUSE, "{}", steps=steps, group_by=["pod"])
    last = {labels: max(at for other, at in fine if other == labels) for labels, _ in fine}
    assert len(last) == 3
    assert world.total(LONG, INUSE, hour) == {(): sum(fine[labels, at] for labels, at in last.items())}
    assert world.total(LONG, INUSE, hour)[()] < total / 40


def test_one_too_late_is_refused(world: World) -> None:
    late = hours_ago(20)
    world.push(late, ["checkout-1"], CPU, "1.2.0")
    code, told, errors = world.run()
    assert code == 1
    assert f"checkout {CPU} {instant(late)}: too late, more than 20 h after it began" in errors
    assert f"1 hours too late ({instant(late)})" in told
    assert world.total(LONG, CPU, late) == {}


def test_the_types_are_those_of_the_fine_tier(world: World) -> None:
    """What Pyroscope makes of a merged profile is of the same type, or the ledger would never find it."""
    window = ProfileTypesRequest(start=hours_ago(20), end=hours_ago(-1))
    client = world.client("downsample")
    types = [client.ask(tenant, "ProfileTypes", window, ProfileTypesResponse) for tenant in ("payments", LONG)]
    assert [{one.ID for one in found.profile_types} for found in types] == [{CPU, INUSE}] * 2


def test_after_compaction_it_is_the_same(world: World) -> None:
    """The ledger is asked of blocks that hold many hours by then, and still says nothing is missing."""
    if world.backend == "devstore":
        return  # it has no blocks and compacts nothing
    before = world.total(LONG, CPU, hours_ago(0))
    blocks = world.folder / "blocks" / "blocks"
    assert until(lambda: _push_filler(world) and any(blocks.rglob("block.bin")), 90)
    assert world.total(LONG, CPU, hours_ago(0)) == before
    code, told, _ = world.run(f"--hour={instant(hours_ago(0))}")
    assert (code, "0 profiles merged" in told) == (0, True), told


def _push_filler(world: World) -> bool:
    """Compaction runs when more comes in."""
    at = int(time.time() * 1000)
    raw = gzip.compress(profile({("idle",): 1}, CPU, at).SerializeToString())
    labels = {**LABELS, "service_name": "filler", "__name__": "process_cpu"}
    pairs = [LabelPair(name=name, value=value) for name, value in labels.items()]
    series = RawProfileSeries(labels=pairs, samples=[RawSample(raw_profile=raw)])
    world.client("node").push(PushRequest(series=[series]), PushResponse)
    return True
