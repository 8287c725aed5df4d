"""The mutation run: every security-relevant field of every rendered object, changed once, must be noticed.

Noticed means: the policy pack finds an error that it does not find in the unchanged environment, or a guard complains.
So this proves that no such field can be reverted unseen; it proves nothing about fields that tests/plan/mutations does
not enumerate. Rules and guards run in this process, on plain manifests; tests/policies/ proves that the pack finds the
same.
"""

import time
from collections import Counter
from collections.abc import Callable

import pytest
from environments import ENVIRONMENTS, Environment
from guards import GUARDS, Guard, Stack
from mutations import Mutation, mutations

from policies.rule import Manifest, Rule, run
from policies.rules import RULES

ERRORS = tuple(rule for rule in RULES if rule.severity == "error")


def stack_of(environment: Environment) -> Stack:
    return Stack(
        (*environment.manifests, *environment.cloud), environment.settings, environment.catalog, environment.lock
    )


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest, environment_of: Callable[[str], Environment]) -> Environment:
    return environment_of(request.param)


def test_the_platform_follows_its_own_rules(environment: Environment) -> None:
    """Only images that nobody can lock yet are reported, each with what it waits for."""
    found = [(rule.id, str(violation)) for rule, violation in run(RULES, stack_of(environment).manifests)]
    unexpected = [
        message for rule, message in found if rule not in ("FP005", "FP013") or "Open: waits for" not in message
    ]
    assert unexpected == []


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_guard(guard: Guard, environment: Environment) -> None:
    assert list(guard.check(stack_of(environment))) == []


class Detector:
    """Which rule or guard notices a mutation first."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.known = {(rule.id, str(violation)) for rule, violation in run(ERRORS, stack.manifests)}
        self.known |= {(guard.name, complaint) for guard in GUARDS for complaint in guard.check(stack)}

    def notices(self, mutation: Mutation) -> str | None:
        changed = [mutation.changed] if mutation.changed else []
        others = [m for m in self.stack.manifests if m is not mutation.target]
        kinds = {mutation.target["kind"], *(m["kind"] for m in changed)}
        for rule in ERRORS:
            if (kinds & set(rule.kinds) or not rule.kinds) and self._breaks(
                rule, changed if rule.scope == "object" else [*others, *changed]
            ):
                return rule.id
        stack = self.stack.with_([*others, *changed])
        for guard in GUARDS:
            if kinds & set(guard.kinds) and any((guard.name, c) not in self.known for c in guard.check(stack)):
                return guard.name
        return None

    def _breaks(self, rule: Rule, manifests: list[Manifest]) -> bool:
        try:
            return any((r.id, str(violation)) not in self.known for r, violation in run([rule], manifests))
        except ValueError:  # what the rule cannot read: in the pack, "could not run", which blocks
            return True


def test_nothing_is_noticed_where_nothing_changed(environment: Environment) -> None:
    """Else the run below would prove nothing."""
    detector = Detector(stack_of(environment))
    same = [Mutation(manifest, dict(manifest), "the same") for manifest in detector.stack.manifests]
    assert [f"{mutation}: {who}" for mutation in same if (who := detector.notices(mutation))] == []


def test_every_mutation_is_noticed(environment: Environment) -> None:
    started = time.monotonic()
    detector = Detector(stack_of(environment))
    all_mutations = [mutation for manifest in detector.stack.manifests for mutation in mutations(manifest)]
    assert all(mutation.changed != mutation.target for mutation in all_mutations), "a mutation must change something"
    noticed = Counter(detector.notices(mutation) or f"SURVIVED {mutation}" for mutation in all_mutations)
    survivors = [what for what in noticed if what.startswith("SURVIVED")]
    seconds = time.monotonic() - started
    counts = f"{len(all_mutations)} mutations of {len(detector.stack.manifests)} objects, {len(survivors)} survived"
    print(f"\n{environment.name}: {counts}, {seconds:.1f} s")
    print("noticed by " + ", ".join(f"{who} {n}" for who, n in noticed.most_common() if who not in survivors))
    assert len(all_mutations) > 1000
    assert survivors == []
