"""A monthly ceiling, and who hears when the bill nears it."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.budgets import Budget
from pulumi_aws.sns import Topic, TopicPolicy, TopicSubscription

from components.aws import perimeter
from components.aws.documents import document
from components.aws.site import NOTICES, Site
from components.base import Component

THRESHOLDS: Final = (80.0, 100.0)  # per cent of the ceiling


@dataclass(frozen=True)
class SpendingArgs:
    """The account; ceiling and addressees are its settings."""

    site: Site


class Spending(Component):
    """Budget of everything with the environment's tag, topic, subscriptions.

    Limits: AWS counts by tag only once the tag is activated in the payer account (`cost_tags.py`): until then the
    budget sees nothing. Bills are some hours late. A subscriber confirms by a link in a mail, which no program can.
    """

    def __init__(self, name: str, args: SpendingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "Spending", name, opts)
        site, budget = args.site, args.site.cloud.budget
        topic = Topic(
            NOTICES,
            name=site.topic,
            kms_master_key_id=site.alias(NOTICES),
            tags=site.tags("budget"),
            opts=self.options(),
        )
        allowed = TopicPolicy(NOTICES, arn=site.topic_arn, policy=topic_policy(site), opts=self.options([topic]))
        for email in budget.emails:
            TopicSubscription(email, topic=site.topic_arn, protocol="email", endpoint=email, opts=self.options([topic]))
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
            # Budgets tries the topic when a notice is made, and refuses the budget if it may not publish.
            opts=self.options([allowed]),
        )
        self.register_outputs({"topic": site.topic_arn})


def topic_policy(site: Site) -> str:
    """AWS Budgets of this account publishes; nobody does without TLS or from another organisation."""
    account = site.cloud.account_id
    return document(
        {
            "Sid": "AllowBudgets",
            "Effect": "Allow",
            "Principal": {"Service": "budgets.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": site.topic_arn,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": account},
                "ArnLike": {"aws:SourceArn": f"arn:aws:budgets::{account}:*"},
            },
        },
        perimeter.foreign_organisation(site, "sns:Publish", site.topic_arn),
        perimeter.plain_transport("sns:Publish", site.topic_arn),
    )
