"""What the downsampling job shares with other jobs: the mounted catalog it reads, and the figures it writes.

Prometheus is played by a receiver that takes remote writes apart (Snappy's block format, its literals alone).
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from profile_store import HOUR, Store, serving
from typer.testing import CliRunner

from components.foundation import _document
from flameplane import plan
from flameplane.catalog import load
from flameplane.catalog.mounted import NotMounted, read_mounted
from flameplane.cli import app
from flameplane.downsample.hours import Hour
from flameplane.downsample.ledger import Ledger, Tiers, read
from flameplane.prometheus import snappy
from flameplane.wire.prometheus_pb2 import WriteRequest
from schemas.catalog import Catalog

LABELS = {"service_name": "checkout", "team": "payments"}


@contextmanager
def prometheus(status: int = 204) -> Iterator[tuple[str, list[WriteRequest]]]:
    received: list[WriteRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/api/v1/write"
            assert self.headers["Content-Encoding"] == "snappy"
            received.append(WriteRequest.FromString(unpacked(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def unpacked(body: bytes) -> bytes:
    """Snappy's block format; a copy element fails."""
    length, shift, at = 0, 0, 0
    while True:
        length |= (body[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if body[at - 1] < 0x80:
            break
    found = b""
    while at < len(body):
        assert body[at] == 61 << 2
        size = int.from_bytes(body[at + 1 : at + 3], "little") + 1
        found, at = found + body[at + 3 : at + 3 + size], at + 3 + size
    assert len(found) == length
    return found


@pytest.mark.parametrize("size", [0, 1, 127, 128, 65_536, 65_537, 200_000])
def test_snappy_is_a_block_of_literals(size: int) -> None:
    text = bytes(n % 251 for n in range(size))
    assert unpacked(snappy(text)) == text


@pytest.fixture
def mounted(root: Path, tmp_path: Path) -> Path:
    """The catalog as ConfigMaps mount it: files are links into a folder of their version."""
    catalog = load(root).catalog
    assert catalog
    maps = {"organisation": {"organisation.yaml": _document(catalog.organisation)}}
    for team in catalog.teams:
        services = {f"{service.name}.yaml": _document(service) for service in catalog.of_team(team.name)}
        maps[team.name] = {"team.yaml": _document(team), **services}
    for name, files in maps.items():
        version = tmp_path / name / "..2026_11_28"
        version.mkdir(parents=True)
        (tmp_path / name / "..data").symlink_to(version.name)
        for file, text in files.items():
            (version / file).write_text(text)
            (tmp_path / name / file).symlink_to(Path("..data") / file)
    return tmp_path


def test_the_mounted_catalog_is_the_declared_one(root: Path, mounted: Path) -> None:
    found, declared = read_mounted(mounted), load(root).catalog
    assert isinstance(declared, Catalog)
    assert found.organisation == declared.organisation
    assert found.teams == declared.teams
    assert found.services == declared.services


def test_what_cannot_be_read_is_told_with_its_place(mounted: Path) -> None:
    path = mounted / "payments" / "..2026_11_28" / "team.yaml"
    path.write_text(path.read_text().replace("fineDays: 30", "fineDays: 3"))
    with pytest.raises(NotMounted, match=r"payments/team.yaml: spec.retention.fineDays: .*greater than or equal to 30"):
        read_mounted(mounted)


def test_the_figures_say_how_far_it_is(mounted: Path, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    last = (now - HOUR) // HOUR * HOUR - HOUR
    with serving(Store()) as store, prometheus() as (url, received):
        store.add("payments", LABELS, last - 20 * HOUR, {("f",): 1})  # too late
        store.add("catalog", {**LABELS, "team": "catalog"}, last, {("f",): 1})
        store.add("insights", {**LABELS, "team": "insights"}, last, {("f",): 1}, "odd:odd:count:odd:count")
        options = ["downsample", f"--gateway={store.url}", f"--catalog={mounted}", f"--prometheus={url}"]
        assert CliRunner().invoke(app, [*options, "--team=payments"]).exit_code == 1
        assert received == [], "a part says nothing of the whole"
        assert CliRunner().invoke(app, options).exit_code == 1
    (written,) = received
    figures = {}
    for series in written.timeseries:
        labels = {label.name: label.value for label in series.labels}
        assert list(labels) == sorted(labels)
        assert abs(series.samples[0].timestamp - now) < 60_000
        name = labels["__name__"].removeprefix("flameplane_downsample_")
        figures[name, labels["tenant"]] = series.samples[0].value
    end = (last + HOUR) / 1000
    until = {
        tenant: figures["merged_until_timestamp_seconds", tenant] for tenant in ("payments", "catalog", "insights")
    }
    assert until == {"payments": (last - 20 * HOUR) / 1000, "catalog": end, "insights": end}
    assert [figures["lost_hours", tenant] for tenant in until] == [1, 0, 0]
    assert [figures["unknown_types", tenant] for tenant in until] == [0, 0, 1]


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "start it with --web.enable-remote-write-receiver"), (400, "refuses the figures: 400")],
)
def test_figures_that_are_not_written_are_a_failure(mounted: Path, status: int, said: str) -> None:
    with serving(Store()) as store, prometheus(status) as (url, _):
        options = ["downsample", f"--gateway={store.url}", f"--catalog={mounted}", f"--prometheus={url}"]
        done = CliRunner().invoke(app, options)
    assert done.exit_code == 3
    assert said in done.stderr


def test_the_declared_arguments_are_understood(root: Path) -> None:
    """What the CronJob says is what the command takes; with nobody to call, it fails as a call does, not as a use."""
    jobs = [m for r in plan.record(root, "prod").resources if (m := plan.manifest(r)) and m["kind"] == "CronJob"]
    (job,) = [m for m in jobs if m["metadata"]["name"] == "flameplane-downsample"]
    args = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
    # The lease is held in test_downsample_lock.py.
    options = [a for a in args if not a.startswith(("--catalog=", "--gateway=", "--prometheus=", "--lease="))]
    assert len(args) == len(options) + 4
    done = CliRunner().invoke(app, [*options, "--gateway=http://127.0.0.1:1", "--team=payments"])
    assert done.exit_code == 3, done.output


def test_a_mistake_with_one_team_keeps_no_figures_of_others_back(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(tiers: Tiers, hours: Sequence[Hour]) -> Ledger:
        if tiers.team == "payments":
            raise ValueError("not what was thought")
        return read(tiers, hours)

    monkeypatch.setattr("flameplane.downsample.run.read", broken)
    with serving(Store()) as store, prometheus() as (url, received):
        options = ["downsample", f"--gateway={store.url}", f"--catalog={mounted}", f"--prometheus={url}"]
        done = CliRunner().invoke(app, options)
    assert done.exit_code == 3
    assert "payments: what is merged cannot be asked: ValueError: not what was thought" in done.stderr
    told = {pair.value for one in received[0].timeseries for pair in one.labels if pair.name == "tenant"}
    assert {"catalog", "insights"} <= told
    assert "payments" not in told


@pytest.mark.parametrize("option", ["--service=checkout", "--team=payments"])
def test_what_is_being_erased_is_not_stored_anew(mounted: Path, option: str) -> None:
    path = mounted / "payments" / "..2026_11_28" / "team.yaml"
    path.write_text(path.read_text().replace("spec:\n", "spec:\n  erase: true\n", 1))
    with serving(Store()) as store:
        store.add("payments", LABELS, (int(time.time() * 1000) - HOUR) // HOUR * HOUR - HOUR, {("f",): 1})
        options = ["downsample", f"--gateway={store.url}", f"--catalog={mounted}"]
        done = CliRunner().invoke(app, [*options, option])
        assert done.exit_code == 2
        assert "is being erased: nothing of it is stored anew" in " ".join(done.stderr.replace("│", " ").split())
        assert CliRunner().invoke(app, options).exit_code == 0
    assert list(store.tenants) == ["payments"]
