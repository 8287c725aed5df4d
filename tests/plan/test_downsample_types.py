"""Which profile types are summed, of which the last interval is kept, and that no other is dropped silently."""

import re
from pathlib import Path

import pytest
from downsampled import CHECKOUT, FINE, LONG, STACKS, last_hour, run
from profile_store import HOUR, Store

from flameplane.downsample import types
from flameplane.downsample.types import merge_of

# As agents' own names come (tests/upstream/sdk_agents.py): what happened, and what there is.
DELTAS = (
    "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    "wall:cpu:nanoseconds:wall:nanoseconds",
    "off_cpu:off_cpu:nanoseconds::",
    "memory:alloc_space:bytes:space:bytes",
    "block:delay:nanoseconds:contentions:count",
)
POINTS = (
    "goroutine:goroutine:count:goroutine:count",
    "memory:inuse_space:bytes:space:bytes",
    "memory:inuse_objects:count:inuse_space:bytes",
    "memory:space:bytes:space:bytes",
    "memory:objects:count:space:bytes",
    "memory:live:count:objects:count",
)


def test_every_type_of_an_agent_is_merged_as_the_docs_say(root: Path) -> None:
    page = (root / "docs" / "retention.md").read_text()
    (table,) = re.findall(r"\| made by \| summed \| last interval \|\n\|.*\n((?:\|.*\n)+)", page)
    told = {"sum": set[str](), "last": set[str]()}
    for row in table.splitlines():
        _, agent, summed, last, _ = row.split("|")
        assert "`" in summed, agent
        told["sum"] |= set(re.findall(r"`([^`]+)`", summed))
        told["last"] |= set(re.findall(r"`([^`]+)`", last))
    for merge, names in told.items():
        assert {name: merge_of(f"{name}:unit:period:unit") for name in names} == dict.fromkeys(names, merge)
    assert {":".join(one.split(":")[:2]) for one in (*DELTAS, *POINTS)} <= told["sum"] | told["last"]


def test_no_type_is_both() -> None:
    assert not set(types.SUMMED) & set(types.LAST)
    assert len(types.SUMMED) + len(types.LAST) == len({*types.SUMMED, *types.LAST})


@pytest.mark.parametrize("kind", [*DELTAS, *POINTS])
def test_a_type_is_merged_under_its_own_name(store: Store, kind: str) -> None:
    """Three uploads of one pod: added up, or the last one."""
    for n, value in enumerate((100, 20, 3)):
        store.add(FINE, {**CHECKOUT, "pod": "a"}, last_hour() + HOUR - (3 - n) * 15_000, {("f",): value}, kind)
    done = run(store)
    assert done.exit_code == 0, done.output
    assert [(one.type, one.total) for one in store.tenants[LONG]] == [(kind, 123 if kind in DELTAS else 3)]


@pytest.mark.parametrize("kind", ["odd:temperature:kelvin:odd:count", "memory:resident:bytes:space:bytes", "cpu"])
def test_a_type_that_nobody_decided_on_is_told(store: Store, kind: str) -> None:
    store.add(FINE, CHECKOUT, last_hour(), STACKS, kind)
    done = run(store)
    assert done.exit_code == 1
    assert kind in done.stderr
    assert "flameplane/downsample/types.py" in done.stderr
    assert LONG not in store.tenants


def test_a_type_that_nobody_decided_on_keeps_no_other_out(store: Store) -> None:
    store.add(FINE, CHECKOUT, last_hour(), STACKS, "odd:temperature:kelvin:odd:count")
    store.add(FINE, CHECKOUT, last_hour(), STACKS)
    assert run(store).exit_code == 1
    assert len(store.tenants[LONG]) == 1
