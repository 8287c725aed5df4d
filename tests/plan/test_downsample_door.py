"""`flameplane downsample` through the real gateway, before the stand-in for Pyroscope (profile_store.py).

Proves that the door understands what the job says, lets it through as its account may, and writes to the tenant that
the job means. What Pyroscope does with it, the upstream tier proves.
"""

import time
from pathlib import Path

import pytest
from gateway_door import build, door
from pprof_samples import CPU, INUSE
from profile_store import HOUR, Store, serving
from typer.testing import CliRunner

from flameplane.cli import app

LABELS = {"service_name": "checkout", "team": "payments", "version": '1.4.0-"rc"', "namespace": "shop"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("door"))


def test_the_job_passes_the_gateway(program: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    hour = (int(time.time() * 1000) - HOUR) // HOUR * HOUR - HOUR
    token = tmp_path / "token"
    with serving(Store()) as store, door(program, store.url) as gateway:
        for pod in ("a", "b"):
            for at in range(hour, hour + HOUR, 15_000):
                for kind in (CPU, INUSE):
                    store.add("payments", {**LABELS, "pod": pod}, at, {("leaf", "main"): 10, ("main",): 1}, kind)
        # An odd pod, which a selector has to leave out by name.
        store.add("payments", {**LABELS, "pod": "b"}, hour + HOUR - 12_000, {("main",): 1}, INUSE)
        token.write_text(gateway.tokens["downsample"])
        options = ["downsample", f"--gateway={gateway.url}", f"--gateway-token={token}", "--team=payments"]
        done = CliRunner().invoke(app, options)
        assert done.exit_code == 0, done.output
        totals = {(one.type, one.total) for one in store.tenants["payments-longterm"]}
        assert totals == {(CPU, 2 * 240 * 11), (INUSE, 11)}
        assert CliRunner().invoke(app, options).exit_code == 0
        assert len(store.tenants["payments-longterm"]) == 2

        token.write_text(gateway.tokens["node"])  # writes, and reads nothing
        refused = CliRunner().invoke(app, options)
        assert refused.exit_code == 3
        assert "this service account may read nothing (permission_denied)" in refused.stderr
    pushes = [one for one in gateway.record if one["operation"] == "push"]
    assert [(one["tenant"], one["rule"]) for one in pushes] == [("payments-longterm", "program-writes-longterm")] * 2
    rules = {one["rule"] for one in gateway.record if one["operation"] != "push"}
    assert rules == {"program-reads-tenants", "account-does-not-read"}
