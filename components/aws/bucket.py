"""One private, encrypted bucket."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws.s3 import (
    Bucket,
    BucketLifecycleConfiguration,
    BucketLifecycleConfigurationRuleArgsDict,
    BucketObjectLockConfiguration,
    BucketOwnershipControls,
    BucketPolicy,
    BucketPublicAccessBlock,
    BucketServerSideEncryptionConfiguration,
    BucketVersioning,
)

from components.aws.site import Site
from components.base import Component
from schemas.settings.cloud import Audit


@dataclass(frozen=True)
class PrivateBucketArgs:
    """``purpose`` names bucket and key. ``lock``: nothing is deleted before its days are over, which needs versions."""

    site: Site
    purpose: str
    policy: str
    rules: Sequence[BucketLifecycleConfigurationRuleArgsDict]
    versioned: bool = False
    lock: Audit | None = None


class PrivateBucket(Component):
    """Bucket, no public access, no ACLs, the key of its purpose by default, policy, lifecycle; versions and lock.

    Give it ``protect`` and ``retain_on_delete``: both pass on to every child, so that a bucket that outlives its stack
    keeps its policy, its key and its lock. It is never emptied: no ``force_destroy``. Output: ``policy``,
    to wait for.
    """

    policy: BucketPolicy

    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "PrivateBucket", name, opts)
        site, purpose = args.site, args.purpose
        bucket_name = site.bucket(purpose)
        bucket = Bucket(
            purpose,
            bucket=bucket_name,
            force_destroy=False,
            object_lock_enabled=args.lock is not None,
            tags=site.tags(purpose),
            opts=self.options(),
        )
        closed = BucketPublicAccessBlock(
            purpose,
            bucket=bucket_name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.options([bucket]),
        )
        BucketOwnershipControls(
            purpose,
            bucket=bucket_name,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self.options([bucket]),
        )
        BucketServerSideEncryptionConfiguration(
            purpose,
            bucket=bucket_name,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": site.alias_arn(purpose),
                    },
                    # One call to KMS for many objects: millions of segments a month would cost more than their PUTs.
                    "bucket_key_enabled": True,
                    "blocked_encryption_types": ["SSE-C"],
                }
            ],
            opts=self.options([bucket]),
        )
        # S3 refuses a policy while another change of access is under way.
        self.policy = BucketPolicy(purpose, bucket=bucket_name, policy=args.policy, opts=self.options([closed]))
        kept: list[pulumi.Resource] = [bucket]
        if args.versioned or args.lock:
            kept.append(
                BucketVersioning(
                    purpose,
                    bucket=bucket_name,
                    versioning_configuration={"status": "Enabled"},
                    opts=self.options([bucket]),
                )
            )
        BucketLifecycleConfiguration(purpose, bucket=bucket_name, rules=args.rules, opts=self.options(kept))
        if args.lock:
            BucketObjectLockConfiguration(
                purpose,
                bucket=bucket_name,
                rule={"default_retention": {"mode": args.lock.mode.upper(), "days": args.lock.days}},
                opts=self.options(kept),
            )
        self.register_outputs({"bucket": bucket_name})
