"""Starts the policy pack. PolicyPack serves until it is ended and never returns, so nothing else may live here.

The project root comes from this file and not from the working folder: Pulumi starts a pack in the pack's own folder,
`flameplane plan` starts it in any, and `pulumi install` installs the lock alone, not this project.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi_policy import PolicyPack

from policies.adapter import policies, waiver_policies
from policies.rules import RULES
from policies.waivers import load

WAIVERS = load(RULES)

PolicyPack(
    name="flameplane",
    policies=[*(p for rule in RULES for p in policies(rule, WAIVERS)), *waiver_policies(RULES, WAIVERS)],
)
