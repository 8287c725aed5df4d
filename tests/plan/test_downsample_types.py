"""Which profile types are summed, of which the last interval is kept, and that no other is dropped silently."""

from downsampled import CHECKOUT, FINE, LONG, STACKS, last_hour, run
from profile_store import Store


def test_a_type_that_nobody_decided_on_is_told(store: Store) -> None:
    store.add(FINE, CHECKOUT, last_hour(), STACKS, "odd:temperature:kelvin:odd:count")
    done = run(store)
    assert done.exit_code == 1
    assert "odd:temperature:kelvin:odd:count" in done.stderr
    assert "flameplane/downsample/types.py" in done.stderr
    assert LONG not in store.tenants
