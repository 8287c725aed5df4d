"""The cost model: every formula against a figure computed by hand, and against the measurements it was made from.

Proves the arithmetic and its sources; what a real bucket holds only a real bucket can say.
"""

from pathlib import Path

import pytest

from flameplane import catalog
from flameplane.cost import constants as c
from flameplane.cost import estimate, model
from flameplane.cost.estimate import writes_of
from flameplane.cost.model import Writes

DEFAULTS = Writes(writers=3, tokens=4, segment_s=0.5)  # of Pyroscope's own binary
TUNED = Writes(writers=3, tokens=1, segment_s=2.0)  # of this platform


def close(value: float) -> object:
    """Equal to three digits, as figures by hand are."""
    return pytest.approx(value, rel=5e-3)


def test_stacks() -> None:
    """The measured push: 1,485 samples, 331 stacks. 19 Hz: 285 samples; 285^0.7944 = e^(0.7944 x 5.6525) = 89.2."""
    assert model.stacks_per_push(99) == close(331)
    assert model.stacks_per_push(19) == close(89.2)
    assert model.stacks_per_push(0) == 0
    assert model.stacks_per_push(99, cores=0.0001) == close(0.1485)  # never more stacks than samples


def test_bytes_of_a_push() -> None:
    """CPU 3,800 x 54 / 75.5 = 2,718; heap 3,800 x 21.5 / 75.5 = 1,082; together 3,800, as measured. 0 Hz is off."""
    assert model.bytes_per_push("cpu", 99) == close(2718)
    assert model.bytes_per_push("alloc", 99) == model.bytes_per_push("mutex", 19) == close(1082)
    assert model.bytes_per_push("cpu", 99) + model.bytes_per_push("alloc", 99) == close(3800)
    assert model.bytes_per_push("alloc", 0) == model.bytes_per_push("cpu", 0) == 0
    assert set(c.RATE_TYPES) | set(c.FIXED_TYPES) == {"cpu", "alloc", "mutex", "block", "goroutine", "wall", "offcpu"}


def test_fine_profiles() -> None:
    """One pod, CPU and heap, 30 days of 5,760 pushes: 3,800 x 172,800 = 0.657 GB, and 30.375 / 30 for late deletion."""
    assert model.fine_gb(["cpu", "alloc"], 99, 30, pods=1) == close(0.6566 * 30.375 / 30)
    assert model.fine_gb(["cpu"], 99, 30, pods=3) == close(3 * 2718 * 5760 * 30.375 / 1e9)
    assert model.fine_gb(["cpu"], 0, 30, pods=3) == 0


def test_hourly_profiles() -> None:
    """200 services x 4 types x 90 days x 24 h x 42 KB = 72.6 GB, the bound that the measurement gave."""
    one = model.hourly_gb(["cpu", "alloc", "mutex", "block"], 99, 0, 90)
    assert 200 * one == close(72.6)
    assert model.hourly_gb(["cpu"], 99, 35, 30) == model.hourly_gb(["cpu"], 0, 0, 90) == 0
    split = model.hourly_gb(["cpu"], 99, 0, 35) + model.hourly_gb(["cpu"], 99, 35, 90)
    assert split == close(model.hourly_gb(["cpu"], 99, 0, 90))


def test_storage() -> None:
    """2,000 GB x 0.023 = 46 USD; 100 GB x 0.0125 = 1.25 USD."""
    assert model.storage_usd(2000, 0) == close(46)
    assert model.storage_usd(0, 100) == close(1.25)


def test_segments() -> None:
    """3 x 4 / 0.5 s = 24 PUT/s = 62.2 M a month: 311 USD, 24.9 USD to read them. Tuned: 1.5 PUT/s, 3.9 M, 19 USD."""
    assert model.segment_puts(DEFAULTS) == close(62_208_000)
    assert model.segment_puts(DEFAULTS) * c.PUT_USD == close(311)
    assert model.requests_usd(model.segment_puts(DEFAULTS)) == close(311 + 24.9)
    assert model.segment_puts(TUNED) == close(3_888_000)
    assert model.segment_puts(TUNED) * c.PUT_USD == close(19.4)


def test_blocks() -> None:
    """One tenant of 200 services fills 12 shards: 1.2 PUT/s = 16 USD; 200 tenants of one: 20 PUT/s = 260 USD."""
    assert model.block_puts(200, DEFAULTS) * c.PUT_USD == close(15.55)
    assert 200 * model.block_puts(1, DEFAULTS) * c.PUT_USD == close(259)
    assert model.block_puts(0, DEFAULTS) == 0


def test_estimate_of_the_project(root: Path) -> None:
    """Services and blocks make the team, teams and segments the platform; every ceiling is the file's."""
    settings, declared = catalog.load_settings(root, "prod").settings, catalog.load(root).catalog
    assert settings and declared
    found = estimate(declared, settings)
    assert [s.name for s in found.services] == [s.name for s in declared.services]
    for team in found.teams:
        own = [s for s in found.services if s.team == team.name]
        blocks = model.requests_usd(model.block_puts(len(own), writes_of(settings)))
        assert team.usd == close(sum(s.usd for s in own) + blocks)
        assert team.stored_gb == close(sum(s.stored_gb for s in own))
    segments = model.requests_usd(model.segment_puts(writes_of(settings)))
    assert found.usd == close(sum(team.usd for team in found.teams) + segments)
    checkout = next(s for s in found.services if s.name == "checkout")
    declaration = next(s for s in declared.services if s.name == "checkout")
    assert (checkout.ceiling_usd, checkout.ceiling_gb) == (
        declaration.spec.budget.monthly_usd,
        declaration.spec.budget.stored_gb,
    )
    assert found.assumptions[0].startswith(f"{settings.backend.pods_per_service} pods with 1 busy core each")


def test_own_storage_has_no_bill(root: Path) -> None:
    """SeaweedFS of environment local: bytes, but no USD."""
    settings, declared = catalog.load_settings(root, "local").settings, catalog.load(root).catalog
    assert settings and declared
    found = estimate(declared, settings)
    assert found.usd == 0
    assert found.stored_gb > 0
    assert any("no S3 bill" in line for line in found.assumptions)
