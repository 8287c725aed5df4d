"""Erasing a team in the real Pyroscope, behind the gateway's door: declared, carried out, proved.

Partitions of Pyroscope's index are six hours long and have six hours of grace. The test has no twelve hours: it sets
the grace to minus seven, so that the partition of the last minutes is looked at, and pushes profiles that are three
hours old. All else is as in the cluster. That the objects go too, it cannot prove: they do so by compaction jobs, no
sooner than a quarter of an hour after the index has let go of them.
"""

import gzip
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from gateway_door import Door, build, door
from pprof_samples import CPU, profile
from servers import pyroscope, until
from test_upstream_pyroscope import Rendered, on_folder
from typer.testing import CliRunner

from flameplane.backend import Gateway
from flameplane.cli import app
from flameplane.wire.pyroscope_pb2 import LabelPair, PushRequest, PushResponse, RawProfileSeries, RawSample

HOUR = 3_600_000
SOON = ["-metastore.index.cleanup-grace-period=-7h", "-metastore.index.cleanup-interval=1s"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def gateway(root: Path, pyroscope_binary: Path, folder: Path) -> Iterator[Door]:
    rendered = Rendered.of(root, "local")
    limits = yaml.safe_load(rendered.files["overrides.yaml"])
    for team in ("payments", "catalog"):
        limits["overrides"][team]["reject_older_than"] = "24h"
    files = {**rendered.files, "overrides.yaml": yaml.safe_dump(limits)}
    with (
        pyroscope(pyroscope_binary, folder, files, [*on_folder(folder), *SOON]) as server,
        door(build(folder), server.url) as found,
    ):
        for who, token in found.tokens.items():
            (folder / who).write_text(token)
        yield found


def push(gateway: Door, folder: Path, team: str, at: int) -> None:
    raw = gzip.compress(profile({("secretFunction", "main"): 5}, CPU, at).SerializeToString())
    labels = {"service_name": f"{team}-api", "team": team, "__name__": "process_cpu"}
    pairs = [LabelPair(name=name, value=value) for name, value in labels.items()]
    series = RawProfileSeries(labels=pairs, samples=[RawSample(raw_profile=raw)])
    Gateway(gateway.url, folder / "node").push(PushRequest(series=[series]), PushResponse)


def blocks(folder: Path, team: str) -> list[Path]:
    """Compacted blocks of a team."""
    return [path for path in (folder / "blocks" / "blocks").rglob("block.bin") if team in path.parts]


def prove(gateway: Door, folder: Path, team: str, who: str = "platform") -> tuple[int, str]:
    options = [f"--team={team}", f"--gateway={gateway.url}", f"--gateway-token={folder / who}"]
    done = CliRunner().invoke(app, ["erase", "prove", *options])
    return done.exit_code, done.output


def test_a_team_is_erased_and_its_neighbour_is_not(gateway: Door, folder: Path) -> None:
    old = int(time.time() * 1000) - 3 * HOUR

    def compacted() -> bool:
        push(gateway, folder, "payments", old)
        push(gateway, folder, "catalog", old)
        return bool(blocks(folder, "payments") and blocks(folder, "catalog"))

    # Before that, all teams share segments, and the partition that the grace opens too early would lose them all.
    assert until(compacted, 120)
    code, said = prove(gateway, folder, "payments")
    assert code == 1
    assert "payments: payments-api: " in said
    assert prove(gateway, folder, "payments", "node")[0] == 3, "who may not ask proves nothing"

    overrides = folder / "overrides.yaml"
    limits = yaml.safe_load(overrides.read_text())
    for tenant in ("payments", "payments-longterm"):
        limits["overrides"][tenant]["retention_period"] = "1h"  # components/pyroscope_limits.py: erase
    overrides.write_text(yaml.safe_dump(limits))

    def gone() -> bool:
        push(gateway, folder, "catalog", old)  # compaction comes with new profiles
        return prove(gateway, folder, "payments")[0] == 0

    assert until(gone, 180), prove(gateway, folder, "payments")
    _, said = prove(gateway, folder, "payments")
    assert "nothing is left in payments (30 days back) and payments-longterm (85 days back)" in said
    assert prove(gateway, folder, "catalog")[0] == 1
