"""The policies of buckets, keys, the topic and the endpoint, statement by statement.

The order and the Sid of statements mean nothing; everything else in them does. An exemption is a list of roles in the
settings, or a job (cloud_jobs.py): there is no other.
"""

from typing import Final

from schemas.reviewed.cloud import (
    AUDIT,
    NOTICES,
    PROFILES,
    STATE,
    Condition,
    Site,
    Statement,
    allow,
    but,
    deny,
    foreign,
    plain,
    telling,
)
from schemas.reviewed.cloud_jobs import doing

# What changes how a bucket protects its objects, and the bucket itself.
CONFIGURATION: Final = (
    *("s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteBucketWebsite", "s3:PutAccelerateConfiguration"),
    *("s3:PutBucketAcl", "s3:PutBucketCORS", "s3:PutBucketLogging", "s3:PutBucketNotification"),
    *("s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy"),
    *("s3:PutBucketPublicAccessBlock", "s3:PutBucketRequestPayment", "s3:PutBucketTagging", "s3:PutBucketVersioning"),
    *("s3:PutBucketWebsite", "s3:PutEncryptionConfiguration", "s3:PutInventoryConfiguration"),
    "s3:PutLifecycleConfiguration",
)
REPLICATION: Final = ("s3:PutReplicationConfiguration", "s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags")
DELETION: Final = ("s3:DeleteObject", "s3:DeleteObjectVersion")
UNLOCKING: Final = ("s3:BypassGovernanceRetention", "s3:PutObjectLegalHold", "s3:PutObjectRetention")
# Of all pods together: nothing else passes the endpoint.
THROUGH_ENDPOINT: Final = (
    *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"),
    *("s3:ListMultipartUploadParts", "s3:PutObject"),
)
# Administrators of a key neither use it nor hand its use on: no Decrypt, no GenerateDataKey, no ReEncrypt, no grant.
ADMINISTRATION: Final = (
    *("kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey"),
    *("kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy"),
    *("kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags"),
    *("kms:ListRetirableGrants", "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:RotateKeyOnDemand"),
    *("kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias"),
    "kms:UpdateKeyDescription",
)


def bucket_policy(site: Site, purpose: str) -> list[Statement]:
    """The policy of one bucket: it refuses; only auditors, who may be another account's, are admitted by it."""
    bucket, objects = site.both(purpose)
    admins = site.cloud.admin_role_arns
    common = [
        foreign(site, "s3:*", [bucket, objects]),
        plain("s3:*", [bucket, objects]),
        deny("DenyOldTls", "s3:*", [bucket, objects], {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        deny("DenyConfigurationByOthers", CONFIGURATION, bucket, but(admins)),
        deny("DenyReplication", REPLICATION, [bucket, objects]),
        *_other_encryption(objects),
    ]
    return common + {PROFILES: _profiles, AUDIT: _audit, STATE: _state}[purpose](site, bucket, objects)


def _profiles(site: Site, bucket: str, objects: str) -> list[Statement]:
    admins, emergency = site.cloud.admin_role_arns, site.cloud.break_glass_role_arns
    return [
        deny("DenyObjectsOutsideVpc", "s3:*", objects, _outside(site, emergency)),
        deny("DenyBucketOutsideVpc", "s3:*", bucket, _outside(site, [*admins, *emergency])),
        deny("DenyDeletionByOthers", DELETION, objects, but(doing(site, PROFILES, "deletes"))),
    ]


def _audit(site: Site, bucket: str, objects: str) -> list[Statement]:
    admins, auditors = site.cloud.admin_role_arns, site.cloud.auditor_role_arns
    # In governance mode an environment can be given up, in compliance mode S3 itself lets nobody.
    given_up = admins if site.cloud.audit.mode == "governance" else []
    ours: Condition = {"StringEquals": {"aws:PrincipalOrgID": site.cloud.organization_id}}
    who = {"AWS": list(auditors)}
    return [
        deny("DenyObjectsOutsideVpc", "s3:*", objects, _outside(site, given_up)),
        deny("DenyBucketOutsideVpc", "s3:*", bucket, _outside(site, admins)),
        deny("DenyDeletion", DELETION + UNLOCKING, objects, but(given_up)),
        deny("DenyOverwriting", "s3:PutObject", objects, {"Null": {"s3:if-none-match": "true"}}),
        *([allow("AllowAuditorsToList", ["s3:ListBucket"], bucket, who, ours)] if auditors else []),
        *([allow("AllowAuditorsToRead", ["s3:GetObject"], objects, who, ours)] if auditors else []),
    ]


def _state(site: Site, bucket: str, objects: str) -> list[Statement]:
    return [deny("DenyOthersThanAdmins", "s3:*", [bucket, objects], but(site.cloud.admin_role_arns))]


def _outside(site: Site, roles: list[str]) -> Condition:
    """Not from the VPC, or past the endpoint where that is there already and its id is known."""
    endpoint, vpc = site.cloud.vpc.s3_endpoint.id, site.cloud.vpc.id
    way = {"aws:SourceVpce": endpoint} if endpoint else {"aws:SourceVpc": vpc}
    services = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
    return {"StringNotEqualsIfExists": way, **services, **(but(roles) or {})}


def _other_encryption(objects: str) -> list[Statement]:
    header, put = "s3:x-amz-server-side-encryption", "s3:PutObject"
    other: Condition = {"Null": {header: "false"}, "StringNotEquals": {header: "aws:kms"}}
    return [
        deny("DenyOtherKey", put, objects, {"Null": {f"{header}-aws-kms-key-id": "false"}}),
        deny("DenyCustomerKey", put, objects, {"Null": {f"{header}-customer-algorithm": "false"}}),
        deny("DenyOtherEncryption", put, objects, other),
    ]


def key_policy(site: Site, purpose: str) -> list[Statement]:
    """The policy of one key. It does not leave the use of the key to IAM: whom it does not name has none."""
    admins: Condition = {"ArnEquals": {"aws:PrincipalArn": site.cloud.admin_role_arns}}
    common = [
        foreign(site, "kms:*", "*"),
        allow("AllowAdministration", ADMINISTRATION, "*", {"AWS": site.root}, admins),
    ]
    if purpose == NOTICES:
        return [*common, *telling(site, ["kms:Decrypt", "kms:GenerateDataKey"], "*")]
    writing = _writing(site, purpose)
    reading = [arn for arn in _reading(site, purpose) if arn not in writing]
    for sid, actions, roles in (
        ("AllowReading", ["kms:Decrypt"], reading),
        ("AllowWriting", ["kms:Decrypt", "kms:GenerateDataKey"], writing),
    ):
        if roles:
            common.append(allow(sid, actions, "*", {"AWS": roles}, _through_s3(site, purpose)))
    return common


def _reading(site: Site, purpose: str) -> list[str]:
    if purpose == PROFILES:
        return [*doing(site, PROFILES, "reads"), *site.cloud.break_glass_role_arns]
    return site.cloud.auditor_role_arns if purpose == AUDIT else []


def _writing(site: Site, purpose: str) -> list[str]:
    return site.cloud.admin_role_arns if purpose == STATE else doing(site, purpose, "writes")


def _through_s3(site: Site, purpose: str) -> Condition:
    """Through S3, for that bucket's objects: its ARN with a bucket key, the object's without."""
    via = f"s3.{site.cloud.region}.amazonaws.com"
    return {
        "StringEquals": {"aws:PrincipalOrgID": site.cloud.organization_id, "kms:ViaService": via},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": site.both(purpose)},
    }


def topic_policy(site: Site) -> list[Statement]:
    """The policy of the topic: AWS Budgets and our alarms tell, nobody else."""
    return [
        *telling(site, ["sns:Publish"], site.topic),
        foreign(site, "sns:Publish", site.topic),
        plain("sns:Publish", site.topic),
    ]


def endpoint_policy(site: Site) -> list[Statement]:
    """The policy of the way to S3: our principals to our buckets, and reading from those that the settings list."""
    organisation = site.cloud.organization_id
    ours: Condition = {"StringEquals": {"aws:PrincipalOrgID": organisation, "aws:ResourceOrgID": organisation}}
    buckets = [*site.both(PROFILES), *site.both(AUDIT)]
    found = [allow("AllowOwnBuckets", THROUGH_ENDPOINT, buckets, "*", ours)]
    if readable := site.cloud.vpc.s3_endpoint.readable_buckets:
        layers = [f"arn:aws:s3:::{bucket}/*" for bucket in readable]
        found.append(allow("AllowReadingOfOthers", ["s3:GetObject"], layers, "*"))
    return found
