"""Names and ARNs of one environment's cloud account. All are computed, so that policies are known before apply."""

from dataclasses import dataclass
from typing import Final

import pulumi

from schemas.settings import Settings
from schemas.settings.cloud import Cloud

# What a key is for, and with it a bucket or a topic.
PROFILES: Final = "profiles"
AUDIT: Final = "audit"
STATE: Final = "state"
NOTICES: Final = "notices"
BUCKET_LENGTH: Final = 63


@dataclass(frozen=True)
class Site:
    """One environment in its account. Partition `aws` only: China and GovCloud have other ARNs."""

    environment: str
    organisation: str
    cloud: Cloud
    profiles: str  # name of the bucket that Pyroscope is told to use

    def bucket(self, purpose: str) -> str:
        """Name of a bucket."""
        named = {
            PROFILES: self.profiles,
            AUDIT: self.cloud.buckets.audit,
            STATE: self.cloud.buckets.state,
        }
        name = named[purpose] or f"{self.organisation}-flameplane-{purpose}-{self.environment}"
        if len(name) > BUCKET_LENGTH:
            fix = f"name the bucket in flameplane:cloud.buckets.{purpose}"
            raise pulumi.RunError(f"{name} is too long for a bucket, more than {BUCKET_LENGTH} characters: {fix}")
        return name

    def bucket_arn(self, purpose: str) -> str:
        """ARN of a bucket."""
        return f"arn:aws:s3:::{self.bucket(purpose)}"

    def alias(self, purpose: str) -> str:
        """Alias of a key. Keys are referred to by it, since a key's own id is known only after apply."""
        return f"alias/flameplane-{purpose}-{self.environment}"

    def alias_arn(self, purpose: str) -> str:
        """ARN of an alias."""
        return f"arn:aws:kms:{self.cloud.region}:{self.cloud.account_id}:{self.alias(purpose)}"

    def role(self, account: str) -> str:
        """Name of the role of a service account; at most 64 characters."""
        return f"flameplane-{self.environment}-{account}"

    def role_arn(self, account: str) -> str:
        """ARN of the role of a service account."""
        return f"arn:aws:iam::{self.cloud.account_id}:role/{self.role(account)}"

    @property
    def topic(self) -> str:
        """Name of the topic of notices."""
        return f"flameplane-{NOTICES}-{self.environment}"

    @property
    def topic_arn(self) -> str:
        """ARN of that topic."""
        return f"arn:aws:sns:{self.cloud.region}:{self.cloud.account_id}:{self.topic}"

    @property
    def cluster_log(self) -> str:
        """Log group of the cluster's control plane, which EKS names."""
        return f"/aws/eks/{self.cloud.eks_cluster}/cluster"

    @property
    def cluster_arn(self) -> str:
        """ARN of the EKS cluster."""
        return f"arn:aws:eks:{self.cloud.region}:{self.cloud.account_id}:cluster/{self.cloud.eks_cluster}"

    @property
    def root(self) -> str:
        """The account itself, as a principal."""
        return f"arn:aws:iam::{self.cloud.account_id}:root"

    def tags(self, component: str) -> dict[str, str]:
        """Tags of one resource; those of the whole environment come from the provider."""
        return {"flameplane:component": component}


def site_of(settings: Settings, organisation: str) -> Site:
    """The site of an environment that names a cloud."""
    assert settings.cloud
    return Site(settings.environment, organisation, settings.cloud, settings.backend.object_storage.bucket)
