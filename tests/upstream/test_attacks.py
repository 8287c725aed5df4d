"""The attacks that the gateway has to withstand, before a real Pyroscope with profiles of two teams.

Proves that none of them reads a function of either team, writes anything, or goes without its line of the record, and
that what each team may do works there. The plan tier proves the same before devstore, and that no attack even reaches
the backend. With FLAMEPLANE_PYROSCOPE_URL it is asked of one that runs already; its tenants `payments` and `catalog`
get a profile each.
"""

import os

import pytest
from go_tests import passes
from servers import Pyroscope

ATTACKS = "TestAttacksGiveNothingAwayOfPyroscope"
URL = "FLAMEPLANE_PYROSCOPE_URL"


def test_attacks_give_nothing_away(one_pyroscope: Pyroscope) -> None:
    passes(ATTACKS, "./internal/door", **{URL: one_pyroscope.url})


def test_attacks_give_nothing_away_of_a_running_pyroscope() -> None:
    url = os.environ.get(URL)
    if not url:
        pytest.skip(f"NOT RUN: ${URL} names no running Pyroscope (2.2 or newer)")
    passes(ATTACKS, "./internal/door", **{URL: url})
