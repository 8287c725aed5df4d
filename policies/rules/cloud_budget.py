"""What may be spent: the budget of the cloud account, and what all services together may spend."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.cloud import BUDGET, TOPIC, Cloud, breaks, clouds
from policies.declared import read
from policies.objects import at, items, texts
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.reviewed.forms import quantity

THRESHOLDS: Final = (80, 100)  # per cent of the ceiling


def _budget(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    ceiling = at(read(manifests).organisation, "spec", "monthlyUsd")
    for cloud in clouds(manifests):
        budgets = cloud.of(BUDGET)
        if cloud.settings and not budgets:
            yield Violation("there is no Budget: the bill would say first what the platform costs")
        for budget in budgets:
            yield from _limit(cloud, budget, ceiling)
            yield from _notices(cloud, budget)


def _limit(cloud: Cloud, budget: Manifest, ceiling: float | None) -> Iterator[Violation]:
    spec = budget.get("spec") or {}
    limit = quantity(spec.get("limitAmount") or 0)
    amount = 0.0 if limit is None else limit
    if limit is None:
        yield breaks(budget, f"has a limit of {spec['limitAmount']}, which is no number")
    elif not 0 < amount <= (cloud.said("cloud.budget.monthlyUsd") or amount):
        yield breaks(
            budget, f"has a limit of {amount:g} USD; the settings say {cloud.said('cloud.budget.monthlyUsd'):g}"
        )
    if ceiling is not None and amount > ceiling:
        yield breaks(budget, f"has a limit of {amount:g} USD, above the organisation's ceiling of {ceiling:g}")
    for field, wanted in (("timeUnit", "MONTHLY"), ("budgetType", "COST"), ("limitUnit", "USD")):
        if spec.get(field) != wanted:
            yield breaks(budget, f"has {field} {spec.get(field)}, not {wanted}")
    if spec.get("accountId") != cloud.account:
        yield breaks(budget, f"is of the account {spec.get('accountId')}")
    tag = f"user:flameplane:environment${cloud.environment}"
    filters = [(f.get("name"), tuple(items(f.get("values")))) for f in items(spec.get("costFilters"))]
    if filters != [("TagKeyValue", (tag,))]:
        yield breaks(budget, f"does not count what is tagged {tag}, and only that")


def _notices(cloud: Cloud, budget: Manifest) -> Iterator[Violation]:
    told = set()
    for notice in items(at(budget, "spec", "notifications")):
        kind = (notice.get("notificationType"), notice.get("thresholdType"), notice.get("comparisonOperator"))
        if kind == ("ACTUAL", "PERCENTAGE", "GREATER_THAN") and cloud.topic in texts(
            notice.get("subscriberSnsTopicArns")
        ):
            told.add(notice.get("threshold"))
    for threshold in THRESHOLDS:
        if threshold not in told:
            yield breaks(budget, f"tells nobody at {threshold} % of what is really spent (a topic of this environment)")


def _fleet(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    organisation, path = declared.organisation, "spec.monthlyUsd"
    ceiling = at(organisation, *path.split("."))
    total = sum(team.get(path) or 0 for team in declared.teams.values())
    if ceiling is not None and total > ceiling:
        message = f"the teams may spend {total:g} USD a month together, the organisation's ceiling is {ceiling:g}"
        yield Violation(message, declared=f"organisation/{at(organisation, 'metadata', 'name')} {path}")


RULES: Final = (
    Rule(
        id="FP031",
        name="cloud-budget",
        why="What nobody is told about grows until the bill comes.",
        remediation="A monthly Budget of the environment's tag within `cloud.budget.monthlyUsd` and the organisation's "
        "`spec.monthlyUsd`, with notices at 80 % and 100 % to the environment's topic.",
        kinds=("ConfigMap", BUDGET, TOPIC, SETTINGS),
        check=_budget,
        scope="stack",
    ),
    Rule(
        id="FP042",
        name="fleet-budget",
        why="Ceilings of teams that add up to more than the organisation has are no ceilings: the last team to spend "
        "pays for all.",
        remediation="Lower `spec.monthlyUsd` of teams, or have that of `_org.yaml` raised.",
        kinds=("ConfigMap",),
        check=_fleet,
        scope="stack",
    ),
)
