"""Who may do what with the buckets: policies that deny, on top of what roles are allowed (`roles.py`).

Administrators configure and never read; Pyroscope and the gateway read and write and never configure. The account's
root user can still delete a bucket policy, which S3 grants whatever it says: the way back after a mistake.
"""

from collections.abc import Sequence
from typing import Final

from components.aws import perimeter
from components.aws.documents import Statement, document, merged
from components.aws.site import AUDIT, PROFILES, STATE, Site

# What changes how a bucket protects its objects, and the bucket itself.
CONFIGURATION: Final = (
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteBucketWebsite",
    "s3:PutAccelerateConfiguration",
    "s3:PutBucketAcl",
    "s3:PutBucketCORS",
    "s3:PutBucketLogging",
    "s3:PutBucketNotification",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketRequestPayment",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutBucketWebsite",
    "s3:PutEncryptionConfiguration",
    "s3:PutInventoryConfiguration",
    "s3:PutLifecycleConfiguration",
)
REPLICATION: Final = ("s3:PutReplicationConfiguration", "s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags")
DELETION: Final = ("s3:DeleteObject", "s3:DeleteObjectVersion")
# What shortens or lifts the lock of an audit record.
UNLOCKING: Final = ("s3:BypassGovernanceRetention", "s3:PutObjectLegalHold", "s3:PutObjectRetention")


def profiles(site: Site, deleting: Sequence[str]) -> str:
    """Objects from inside the VPC only; ``deleting`` are the roles that remove what is superseded or expired."""
    emergency = site.cloud.break_glass_role_arns
    bucket, objects = _resources(site, PROFILES)
    return document(
        *_common(site, PROFILES),
        *perimeter.other_encryption(objects),
        perimeter.outside_vpc(site, "DenyObjectsOutsideVpc", objects, emergency),
        perimeter.outside_vpc(site, "DenyBucketOutsideVpc", bucket, [*site.cloud.admin_role_arns, *emergency]),
        _deny("DenyDeletionByOthers", DELETION, objects, deleting),
    )


def audit(site: Site) -> str:
    """As the profiles, and nobody deletes or overwrites. In governance mode administrators may unlock, so that an
    environment can be given up; in compliance mode S3 itself lets nobody."""
    bucket, objects = _resources(site, AUDIT)
    admins = site.cloud.admin_role_arns
    given_up = admins if site.cloud.audit.mode == "governance" else []
    return document(
        *_common(site, AUDIT),
        *perimeter.other_encryption(objects),
        perimeter.outside_vpc(site, "DenyObjectsOutsideVpc", objects, given_up),
        perimeter.outside_vpc(site, "DenyBucketOutsideVpc", bucket, admins),
        _deny("DenyDeletion", DELETION + UNLOCKING, objects, given_up),
        _overwriting(objects),
        *_auditors(site, bucket, objects),
    )


def state(site: Site) -> str:
    """Pulumi's state: those who run Pulumi and nobody else. From anywhere, since Pulumi runs in CI, outside the VPC."""
    bucket, objects = _resources(site, STATE)
    return document(
        *_common(site, STATE),
        *perimeter.other_encryption(objects),
        {
            "Sid": "DenyOthersThanAdmins",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket, objects],
            "Condition": perimeter.unless(site.cloud.admin_role_arns),
        },
    )


def _resources(site: Site, purpose: str) -> tuple[str, str]:
    return site.bucket_arn(purpose), f"{site.bucket_arn(purpose)}/*"


def _common(site: Site, purpose: str) -> list[Statement]:
    bucket, objects = _resources(site, purpose)
    return [
        perimeter.foreign_organisation(site, "s3:*", [bucket, objects]),
        perimeter.plain_transport("s3:*", [bucket, objects]),
        perimeter.old_tls([bucket, objects]),
        _deny("DenyConfigurationByOthers", CONFIGURATION, bucket, site.cloud.admin_role_arns),
        _deny("DenyReplication", REPLICATION, [bucket, objects], ()),
    ]


def _deny(sid: str, actions: Sequence[str], resource: str | Sequence[str], but: Sequence[str]) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": resource,
    }
    if but:
        statement["Condition"] = perimeter.unless(but)
    return statement


def _overwriting(objects: str) -> Statement:
    """Uploads that do not ask S3 to refuse them where there is such an object already. The lock keeps every version,
    but who fetches a record gets the newest; so there is to be one. Copies and multipart uploads cannot ask, and end
    here."""
    statement = _deny("DenyOverwriting", ["s3:PutObject"], objects, ())
    statement["Condition"] = {"Null": {"s3:if-none-match": "true"}}
    return statement


def _auditors(site: Site, bucket: str, objects: str) -> list[Statement]:
    """Auditors of another account need the bucket's word as well as their own account's."""
    if not site.cloud.auditor_role_arns:
        return []
    organisation = {"StringEquals": {"aws:PrincipalOrgID": site.cloud.organization_id}}

    def allow(sid: str, action: str, resource: str) -> Statement:
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": list(site.cloud.auditor_role_arns)},
            "Action": action,
            "Resource": resource,
            "Condition": merged(organisation),
        }

    return [
        allow("AllowAuditorsToList", "s3:ListBucket", bucket),
        allow("AllowAuditorsToRead", "s3:GetObject", objects),
    ]
