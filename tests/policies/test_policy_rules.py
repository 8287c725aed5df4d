"""Every rule against its fixtures, in this process.

Proves what each rule finds and does not find, on plain manifests and in the form in which Pulumi hands them over
(doubles, proxies). It cannot prove that the pack serves these rules: test_policy_pack.py does.
"""

import re
from collections.abc import Sequence

import pytest
from corpus import FOLDER, Fixture, fixtures, over_the_wire

from policies import docs
from policies.rule import Manifest, run
from policies.rules import RULES

# How a violation names a declaration: `plan` resolves it to a line of a file under services/.
NAMED = re.compile(r" \[declared: (service|team|organisation)/[a-z0-9-]+ (metadata|spec)(\.[A-Za-z]+)+\]$")


def found(manifests: Sequence[Manifest]) -> list[tuple[str, str]]:
    return [(rule.id, str(violation)) for rule, violation in run(RULES, manifests)]


@pytest.mark.parametrize("fixture", fixtures(fires=True), ids=str)
def test_fires_exactly_its_rule(fixture: Fixture) -> None:
    results = found(fixture.manifests())
    assert {rule for rule, _ in results} == {fixture.rule}, results
    assert any(fixture.expected in message for _, message in results), results
    assert all(NAMED.search(message) for _, message in results if "[declared:" in message), results
    assert found(over_the_wire(fixture.manifests())) == results


@pytest.mark.parametrize("fixture", fixtures(fires=False), ids=str)
def test_no_rule_fires(fixture: Fixture) -> None:
    assert found(fixture.manifests()) == []
    assert found(over_the_wire(fixture.manifests())) == []


def test_no_rule_lacks_fixtures() -> None:
    for folder in ("fire", "dont-fire"):
        assert {p.parts[-2] for p in FOLDER.glob(f"*/{folder}") if any(p.glob("*.yaml"))} == {r.id for r in RULES}, (
            folder
        )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_is_described(rule) -> None:
    assert re.fullmatch(r"FP\d{3}", rule.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    for text in (rule.why, rule.remediation):
        assert text[0].isupper() and text.endswith("."), "whole sentences: they are read in docs and in findings"


def test_ids_and_names_are_unique() -> None:
    assert len({r.id for r in RULES}) == len({r.name for r in RULES}) == len(RULES)


def test_docs_are_generated() -> None:
    assert docs.PAGE.read_text() == docs.page(), "run: python -m policies.docs"
