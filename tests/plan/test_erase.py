"""`flameplane erase`, and what a declared erasure comes to. Pyroscope is played (profile_store.py).

That Pyroscope deletes what it is told to, tests/upstream/test_upstream_erase.py says.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from profile_store import HOUR, Refused, Store, serving
from typer.testing import CliRunner

from components.backend_urls import backend_urls
from components.gateway_config import gateway_config
from components.pyroscope_limits import overrides
from flameplane.catalog import load, load_settings
from flameplane.cli import app
from schemas.catalog import Catalog

DAY = 24 * HOUR
PAYMENTS = {"service_name": "checkout", "team": "payments"}


@pytest.fixture(autouse=True)
def _here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "token").write_text("token")
    with serving(Store()) as found:
        yield found


def prove(store: Store, tmp_path: Path, *options: str) -> tuple[int, str, str]:
    command = ["erase", "prove", "--team=payments", f"--gateway={store.url}", f"--gateway-token={tmp_path / 'token'}"]
    done = CliRunner().invoke(app, [*command, *options])
    return done.exit_code, done.stdout, done.stderr


def test_nothing_left_is_proved(store: Store, tmp_path: Path) -> None:
    store.add("catalog", {**PAYMENTS, "team": "catalog"}, int(time.time() * 1000), {("f",): 1})
    code, said, _ = prove(store, tmp_path)
    assert code == 0
    assert said.startswith("payments: nothing is left in payments (30 days back) and payments-longterm (85 days back)")
    assert store.calls.count("Series") == 2 * 91


@pytest.mark.parametrize("tenant", ["payments", "payments-longterm"])
@pytest.mark.parametrize("age", [0, 1, 30, 45, 89, 90])
def test_whatever_is_left_is_found(store: Store, tmp_path: Path, tenant: str, age: int) -> None:
    store.add(tenant, PAYMENTS, int(time.time() * 1000) - age * DAY, {("f",): 1})
    code, said, _ = prove(store, tmp_path)
    assert code == 1
    assert f"{tenant}: checkout: " in said


def test_one_service_of_several(store: Store, tmp_path: Path) -> None:
    store.add("payments", PAYMENTS, int(time.time() * 1000), {("f",): 1})
    assert prove(store, tmp_path, "--service=checkout")[0] == 1
    assert prove(store, tmp_path, "--service=ledger", "--gone")[0] == 0


def test_a_service_that_nobody_has_heard_of_is_not_proved_gone(store: Store, tmp_path: Path) -> None:
    store.add("payments", {**PAYMENTS, "service_name": "old"}, int(time.time() * 1000), {("f",): 1})
    code, said, errors = prove(store, tmp_path, "--service=chekout")
    assert (code, said) == (2, "")
    assert "chekout of payments is neither declared nor seen" in errors
    assert prove(store, tmp_path, "--service=checkout")[0] == 0, "declared"
    assert prove(store, tmp_path, "--service=old")[0] == 1, "seen"


def test_what_cannot_be_asked_is_not_proved(store: Store, tmp_path: Path) -> None:
    def refuse(_: str) -> None:
        if len(store.calls) == 100:
            raise Refused(403, "permission_denied", "none of your groups reads the profiles of that team")

    store.before = refuse
    code, said, errors = prove(store, tmp_path)
    assert (code, said) == (3, "")
    assert "so nothing is proved" in errors


def test_the_plan_of_a_team() -> None:
    done = CliRunner().invoke(app, ["erase", "plan", "--team=payments"])
    assert done.exit_code == 0
    assert "erase: true" in done.stdout


def test_a_service_alone_is_not_promised() -> None:
    done = CliRunner().invoke(app, ["erase", "plan", "--team=payments", "--service=checkout"])
    assert done.exit_code == 0
    assert done.stdout.startswith("checkout alone cannot be erased")


def test_a_team_that_is_not_there() -> None:
    done = CliRunner().invoke(app, ["erase", "plan", "--team=nobody"])
    assert done.exit_code == 2
    assert "there is no team nobody" in done.stderr


@pytest.fixture
def erased(root: Path) -> Catalog:
    """The project's catalog, with payments being erased."""
    catalog = load(root).catalog
    assert catalog
    teams = tuple(
        team.model_copy(update={"spec": team.spec.model_copy(update={"erase": True})})
        if team.name == "payments"
        else team
        for team in catalog.teams
    )
    return Catalog(catalog.organisation, teams, catalog.services)


def test_what_is_erased_is_proved_for_all_days(
    erased: Catalog, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flameplane.cli.erase._catalog", lambda: erased)
    code, said, _ = prove(store, tmp_path)
    assert code == 0
    assert "in payments (91 days back) and payments-longterm (91 days back)" in said


def test_a_declared_erasure(erased: Catalog, root: Path) -> None:
    """Both tenants keep an hour and are looked into as far back as can be; nobody of the team reads them."""
    settings = load_settings(root, "prod").settings
    assert settings
    tenants = yaml.safe_load(overrides(erased, settings.backend))["overrides"]
    assert {n: t["retention_period"] for n, t in tenants.items() if n.startswith("payments")} == {
        "payments": "1h",
        "payments-longterm": "1h",
    }
    assert {tenants[name]["max_query_lookback"] for name in ("payments", "payments-longterm")} == {"2184h"}
    assert tenants["catalog-longterm"]["max_query_lookback"] == "1440h"
    assert tenants["catalog"]["retention_period"] != "1h"
    gateway = yaml.safe_load(gateway_config(settings, erased, backend_urls(settings.backend)))
    readers = {tenant["tenant"]: tenant["readers"] for tenant in gateway["tenants"]}
    assert readers.pop("payments") == []
    assert all(readers.values())
