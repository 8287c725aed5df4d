"""Who may use and who may administer each key. A key does not leave its use to IAM: a policy in the account that allows
`kms:*` opens nothing here. Administrators are not users: they can neither decrypt nor grant.

The administrators' statement names the account with their ARNs as a condition, not their roles as principals: a role
that is deleted and made anew would otherwise be another principal, and the key out of everybody's reach.
"""

from collections.abc import Sequence
from typing import Final

from components.aws import perimeter
from components.aws.documents import Condition, Statement, document
from components.aws.notices import telling
from components.aws.site import Site

ADMINISTRATION: Final = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:ListRetirableGrants",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
READING: Final = ("kms:Decrypt",)
# Decrypt as well: S3 asks for it when an upload has several parts.
WRITING: Final = ("kms:Decrypt", "kms:GenerateDataKey")


def of_bucket(site: Site, purpose: str, reading: Sequence[str], writing: Sequence[str]) -> str:
    """The key of a bucket: these roles, through S3, for objects of that bucket only."""
    arn = site.bucket_arn(purpose)
    through_s3: Condition = {
        "StringEquals": {
            "aws:PrincipalOrgID": site.cloud.organization_id,
            "kms:ViaService": f"s3.{site.cloud.region}.amazonaws.com",
        },
        # The bucket's ARN with a bucket key, the object's without.
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": [arn, f"{arn}/*"]},
    }
    return document(
        *_common(site),
        *_use("AllowReading", READING, sorted(set(reading) - set(writing)), through_s3),
        *_use("AllowWriting", WRITING, sorted(set(writing)), through_s3),
    )


def of_notices(site: Site) -> str:
    """The key of the topic: the services that tell put encrypted messages into it."""
    return document(*_common(site), *telling(site, list(WRITING), "*"))


def _common(site: Site) -> list[Statement]:
    # In a key policy, "*" is the key itself.
    return [
        perimeter.foreign_organisation(site, "kms:*", "*"),
        {
            "Sid": "AllowAdministration",
            "Effect": "Allow",
            "Principal": {"AWS": site.root},
            "Action": list(ADMINISTRATION),
            "Resource": "*",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": list(site.cloud.admin_role_arns)}},
        },
    ]


def _use(sid: str, actions: Sequence[str], roles: Sequence[str], condition: Condition) -> list[Statement]:
    if not roles:
        return []
    return [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": list(roles)},
            "Action": list(actions),
            "Resource": "*",
            "Condition": condition,
        }
    ]
