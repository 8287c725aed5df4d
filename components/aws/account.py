"""Everything that one environment has in its cloud account."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import Provider

from components.aws import bucket_policies, key_policies, lifecycle
from components.aws.bucket import PrivateBucket, PrivateBucketArgs
from components.aws.budget import Spending, SpendingArgs
from components.aws.cluster_audit import ClusterAudit, ClusterAuditArgs
from components.aws.cost_tags import CostTags, CostTagsArgs
from components.aws.endpoint import S3Endpoint, S3EndpointArgs
from components.aws.key import EncryptionKey, EncryptionKeyArgs
from components.aws.notices import Notices, NoticesArgs
from components.aws.pod_identity import PodIdentity, PodIdentityArgs
from components.aws.roles import PodRole, pod_roles
from components.aws.site import AUDIT, NOTICES, PROFILES, STATE, site_of
from components.base import Component
from schemas.catalog import Catalog
from schemas.settings import Settings


@dataclass(frozen=True)
class AccountArgs:
    """The environment, whose settings name a cloud, and the teams, whose retention the lifecycle follows."""

    settings: Settings
    catalog: Catalog


class Account(Component):
    """Buckets, keys, roles, the endpoint, notices, the budget, the alarm on the cluster's audit log.

    Cluster and VPC exist already and are only referred to. Buckets and keys are never deleted by Pulumi: they are
    protected, and kept when the stack goes (docs/aws.md says what that leaves, and how to give it up). Output:
    ``ready``, what pods that use S3 wait for: they get their role when they start, if it is associated by then.
    """

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: AccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "Account", name, opts)
        self._site = site_of(args.settings, args.catalog.organisation.metadata.name)
        cloud = self._site.cloud
        # Always explicit: a default provider would use whatever account an AWS profile points at today.
        self._provider = Provider(
            "aws",
            region=cloud.region,
            allowed_account_ids=[cloud.account_id],
            # Nothing is taken on trust: wrong credentials, account or region end the run before anything is made.
            skip_credentials_validation=False,
            skip_region_validation=False,
            skip_requesting_account_id=False,
            default_tags={"tags": {**cloud.tags, "flameplane:environment": self._site.environment}},
            opts=pulumi.ResourceOptions(parent=self),
        )
        roles = pod_roles(self._site, args.settings.backend)
        pods = [PodIdentity(role.account, PodIdentityArgs(self._site, role), self._inside()) for role in roles]
        identities: list[pulumi.Resource] = [pod.role for pod in pods]
        buckets = [self._profiles(roles, identities, args.catalog), self._audit(roles, identities)]
        self.ready = [*(pod.association for pod in pods), *(bucket.policy for bucket in buckets)]
        self._state()
        if cloud.vpc.s3_endpoint.kind != "existing":
            S3Endpoint("s3-endpoint", S3EndpointArgs(self._site), self._inside())
        key = self._key(NOTICES, key_policies.of_notices(self._site))
        notices = Notices("notices", NoticesArgs(self._site), self._inside(key.alias))
        Spending("spending", SpendingArgs(self._site), self._inside(notices.policy))
        ClusterAudit("cluster-audit", ClusterAuditArgs(self._site), self._inside(notices.policy))
        if cloud.budget.payer_role_arn:
            CostTags("cost-tags", CostTagsArgs(self._site, cloud.budget.payer_role_arn), self._inside())
        self.register_outputs({"account": cloud.account_id, "region": cloud.region})

    def _profiles(self, roles: list[PodRole], identities: list[pulumi.Resource], catalog: Catalog) -> PrivateBucket:
        reading = [*self._arns(roles, "reads"), *self._site.cloud.break_glass_role_arns]
        policy = key_policies.of_bucket(self._site, PROFILES, reading, self._arns(roles, "writes"))
        key = self._key(PROFILES, policy, *identities)
        allowed = bucket_policies.profiles(self._site, self._arns(roles, "deletes"))
        bucket = PrivateBucketArgs(self._site, PROFILES, allowed, lifecycle.profiles(catalog))
        return PrivateBucket("profiles-bucket", bucket, self._kept(key.alias))

    def _audit(self, roles: list[PodRole], identities: list[pulumi.Resource]) -> PrivateBucket:
        lock = self._site.cloud.audit
        writing = [self._site.role_arn(r.account) for r in roles if r.bucket == AUDIT]
        policy = key_policies.of_bucket(self._site, AUDIT, self._site.cloud.auditor_role_arns, writing)
        key = self._key(AUDIT, policy, *identities)
        rules = lifecycle.audit(lock.days)
        bucket = PrivateBucketArgs(
            self._site, AUDIT, bucket_policies.audit(self._site), rules, versioned=True, lock=lock
        )
        return PrivateBucket("audit-bucket", bucket, self._kept(key.alias))

    def _state(self) -> None:
        policy = key_policies.of_bucket(self._site, STATE, (), self._site.cloud.admin_role_arns)
        key = self._key(STATE, policy)
        bucket = PrivateBucketArgs(
            self._site, STATE, bucket_policies.state(self._site), lifecycle.state(), versioned=True
        )
        PrivateBucket("state-bucket", bucket, self._kept(key.alias))

    def _arns(self, roles: list[PodRole], does: str) -> list[str]:
        """Roles that read, write or delete profiles."""
        return [self._site.role_arn(r.account) for r in roles if r.bucket == PROFILES and getattr(r, does)]

    def _key(self, purpose: str, policy: str, *after: pulumi.Resource) -> EncryptionKey:
        return EncryptionKey(
            f"{purpose}-encryption", EncryptionKeyArgs(self._site, purpose, policy), self._kept(*after)
        )

    def _inside(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, provider=self._provider, depends_on=list(after))

    def _kept(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        options = self._inside(*after)
        options.protect, options.retain_on_delete = True, True
        return options
