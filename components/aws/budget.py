"""A monthly ceiling, and a notice when the bill nears it."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.budgets import Budget

from components.aws.site import Site
from components.base import Component

THRESHOLDS: Final = (80.0, 100.0)  # per cent of the ceiling


@dataclass(frozen=True)
class SpendingArgs:
    """The account; the ceiling is one of its settings."""

    site: Site


class Spending(Component):
    """Budget of everything with the environment's tag. Budgets tries the topic when a notice is made, so the topic's
    policy has to stand before.

    Limits: AWS counts by tag only once the tag is activated in the payer account (`cost_tags.py`): until then the
    budget sees nothing. Bills are some hours late.
    """

    def __init__(self, name: str, args: SpendingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "Spending", name, opts)
        site, budget = args.site, args.site.cloud.budget
        Budget(
            "monthly",
            name=f"flameplane-{site.environment}",
            account_id=site.cloud.account_id,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{budget.monthly_usd:.2f}",
            limit_unit="USD",
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:flameplane:environment${site.environment}"]}],
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "notification_type": "ACTUAL",
                    "threshold": threshold,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_sns_topic_arns": [site.topic_arn],
                }
                for threshold in THRESHOLDS
            ],
            tags=site.tags("budget"),
            opts=self.options(),
        )
        self.register_outputs({})
