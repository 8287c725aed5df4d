"""Whom the account tells: one topic, and everybody who hears it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws.sns import Topic, TopicPolicy, TopicSubscription

from components.aws import perimeter
from components.aws.documents import Statement, document
from components.aws.site import NOTICES, Site
from components.base import Component


@dataclass(frozen=True)
class NoticesArgs:
    """The account, whose settings list the addressees."""

    site: Site


class Notices(Component):
    """Topic, its policy, subscriptions. Output: ``policy``, without which nobody may tell anything.

    Limits: a subscriber confirms by a link in a mail, which no program can.
    """

    policy: TopicPolicy

    def __init__(self, name: str, args: NoticesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "Notices", name, opts)
        site = args.site
        topic = Topic(
            NOTICES,
            name=site.topic,
            kms_master_key_id=site.alias(NOTICES),
            tags=site.tags("notices"),
            opts=self.options(),
        )
        self.policy = TopicPolicy(NOTICES, arn=site.topic_arn, policy=topic_policy(site), opts=self.options([topic]))
        for email in site.cloud.budget.emails:
            TopicSubscription(email, topic=site.topic_arn, protocol="email", endpoint=email, opts=self.options([topic]))
        self.register_outputs({"topic": site.topic_arn})


def topic_policy(site: Site) -> str:
    """AWS Budgets and CloudWatch of this account publish; nobody does without TLS or from another organisation."""
    return document(
        *telling(site, "sns:Publish", site.topic_arn),
        perimeter.foreign_organisation(site, "sns:Publish", site.topic_arn),
        perimeter.plain_transport("sns:Publish", site.topic_arn),
    )


def telling(site: Site, actions: str | Sequence[str], resource: str) -> list[Statement]:
    """What the services that tell may do, each for this account alone.

    A topic and its key both have to say so: where the key does not, a notice is lost, and only the alarm's own history
    shows it (https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns).
    """
    account = site.cloud.account_id
    alarms = f"arn:aws:cloudwatch:{site.cloud.region}:{account}:alarm:flameplane-{site.environment}-*"
    return [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": actions,
            "Resource": resource,
            "Condition": {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": source}},
        }
        for sid, service, source in (
            ("AllowBudgets", "budgets.amazonaws.com", f"arn:aws:budgets::{account}:*"),
            ("AllowAlarms", "cloudwatch.amazonaws.com", alarms),
        )
    ]
