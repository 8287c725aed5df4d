"""What is declared in a cloud account, and by which names: what the tables beside this file (cloud_*.py) are about.

Written a second time on purpose, beside components/aws/: an edit of the one without the other is a finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.settings.cloud import Cloud

PROFILES, AUDIT, STATE, NOTICES = "profiles", "audit", "state", "notices"
BUCKETS: Final = (PROFILES, AUDIT, STATE)
KEYS: Final = (*BUCKETS, NOTICES)
Statement = dict[str, Any]  # of a policy document, as it is in JSON; its Sid is what findings call it
Condition = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Site:
    """One environment in its account, as its settings say."""

    environment: str
    organisation: str  # name of the organisation in _org.yaml
    cloud: Cloud
    architecture: str  # process | microservices
    profiles: str  # name of the bucket of the profiles

    def bucket(self, purpose: str) -> str:
        """Name of a bucket."""
        named = {PROFILES: self.profiles, AUDIT: self.cloud.buckets.audit, STATE: self.cloud.buckets.state}
        return named[purpose] or f"{self.organisation}-flameplane-{purpose}-{self.environment}"

    def arn(self, purpose: str) -> str:
        """ARN of a bucket."""
        return f"arn:aws:s3:::{self.bucket(purpose)}"

    def both(self, purpose: str) -> list[str]:
        """A bucket and its objects: a statement about the one says nothing of the other."""
        return [self.arn(purpose), f"{self.arn(purpose)}/*"]

    def alias(self, purpose: str) -> tuple[str, str]:
        """The two ways to name a key: by ARN and plain."""
        plain = f"alias/flameplane-{purpose}-{self.environment}"
        return f"arn:aws:kms:{self.cloud.region}:{self.cloud.account_id}:{plain}", plain

    def role(self, account: str) -> str:
        """Name of the role of a service account."""
        return f"flameplane-{self.environment}-{account}"

    def role_arn(self, account: str) -> str:
        """ARN of that role."""
        return f"arn:aws:iam::{self.cloud.account_id}:role/{self.role(account)}"

    @property
    def root(self) -> str:
        """The account as a principal."""
        return f"arn:aws:iam::{self.cloud.account_id}:root"

    @property
    def topic(self) -> str:
        """ARN of the topic of notices."""
        return f"arn:aws:sns:{self.cloud.region}:{self.cloud.account_id}:flameplane-{NOTICES}-{self.environment}"


def deny(sid: str, actions: str | Sequence[str], on: str | Sequence[str], when: Condition | None = None) -> Statement:
    """A statement that refuses everybody; ``when`` narrows it."""
    acts = actions if isinstance(actions, str) else list(actions)
    found = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": acts, "Resource": on}
    return found | ({"Condition": when} if when else {})


def allow(
    sid: str, actions: Sequence[str], on: str | Sequence[str], who: Any = None, when: Condition | None = None
) -> Statement:
    """A statement that admits; ``who`` is absent from the policy of a role, which is its own principal."""
    found = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": on}
    return found | ({"Principal": who} if who else {}) | ({"Condition": when} if when else {})


def but(roles: Sequence[str]) -> Condition | None:
    """Everybody but these roles, by the one operator that takes no part of a name for the whole."""
    return {"ArnNotEquals": {"aws:PrincipalArn": list(roles)}} if roles else None


def foreign(site: Site, actions: str, on: str | Sequence[str]) -> Statement:
    """Whoever is of no organisation or another's. AWS's own services are of none, and are let through."""
    when: Condition = {
        "StringNotEqualsIfExists": {"aws:PrincipalOrgID": site.cloud.organization_id},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    return deny("DenyForeignOrganisation", actions, on, when)


def plain(actions: str, on: str | Sequence[str]) -> Statement:
    """Whoever comes without TLS."""
    return deny("DenyPlainTransport", actions, on, {"Bool": {"aws:SecureTransport": "false"}})


def telling(site: Site, actions: Sequence[str], on: str) -> list[Statement]:
    """AWS Budgets and CloudWatch acting for this account, and for none of their other customers."""
    account = site.cloud.account_id
    alarms = f"arn:aws:cloudwatch:{site.cloud.region}:{account}:alarm:flameplane-{site.environment}-*"
    return [
        allow(
            sid,
            actions,
            on,
            {"Service": f"{service}.amazonaws.com"},
            {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": source}},
        )
        for sid, service, source in (
            ("AllowBudgets", "budgets", f"arn:aws:budgets::{account}:*"),
            ("AllowAlarms", "cloudwatch", alarms),
        )
    ]
