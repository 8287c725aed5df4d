"""What each pod may do: one role per service account that reaches S3, and nothing for all others.

Keys are not in these policies: a key names the roles that may use it (`key_policies.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from components.aws.documents import Statement, document
from components.aws.site import AUDIT, PROFILES, Site
from components.pyroscope_identities import StorageAccess, storage_accounts
from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE
from schemas.settings import Backend

GATEWAY: Final = "gateway"  # its service account: components/gateway.py
AUDIT_PREFIX: Final = "gateway/"  # below it, the gateway writes its audit records


@dataclass(frozen=True)
class PodRole:
    """The role of one service account. ``reads``, ``writes`` and ``deletes``: whether it does so in ``bucket``."""

    namespace: str
    account: str
    bucket: str  # purpose
    policy: str
    reads: bool
    writes: bool
    deletes: bool


def pod_roles(site: Site, backend: Backend) -> list[PodRole]:
    """Pyroscope's parts, each with what it needs, and the gateway, which adds to the audit bucket and cannot read it.

    No other workload of the platform reaches S3: jobs and people read profiles through the gateway.
    """
    accounts = storage_accounts(backend.architecture)
    return [*(_backend(site, name, access) for name, access in sorted(accounts.items())), _gateway(site)]


def trust(site: Site, namespace: str, account: str) -> str:
    """EKS Pod Identity, for one service account of one cluster. It passes namespace, account and cluster as tags."""
    cloud = site.cloud
    return document(
        {
            "Sid": "AllowPodIdentity",
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:SourceAccount": cloud.account_id,
                    "aws:RequestTag/eks-cluster-arn": site.cluster_arn,
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": account,
                },
            },
        }
    )


def _backend(site: Site, account: str, access: StorageAccess) -> PodRole:
    bucket = site.bucket_arn(PROFILES)
    statements: list[Statement] = [_allow("Locate", ["s3:GetBucketLocation"], [bucket])]
    for sid, actions, keys in (
        ("Read", ["s3:GetObject"], access.reads),
        ("Write", ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"], access.writes),
        ("Delete", ["s3:DeleteObject"], access.deletes),
    ):
        if keys:
            statements.append(_allow(sid, actions, [f"{bucket}/{key}" for key in keys]))
    # Who reads has to list the whole bucket: for an object that is not there S3 otherwise says 403 instead of 404, and
    # Pyroscope takes a block that was compacted away for a failure.
    if access.reads or "" in access.lists:
        statements.append(_allow("List", ["s3:ListBucket"], [bucket]))
    elif access.lists:
        listing = _allow("List", ["s3:ListBucket"], [bucket])
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in access.lists]}}
        statements.append(listing)
    return PodRole(
        BACKEND_NAMESPACE,
        account,
        PROFILES,
        document(*statements),
        bool(access.reads),
        bool(access.writes),
        bool(access.deletes),
    )


def _gateway(site: Site) -> PodRole:
    objects = f"{site.bucket_arn(AUDIT)}/{AUDIT_PREFIX}*"
    policy = document(_allow("Append", ["s3:PutObject"], [objects]))
    return PodRole(ACCESS_NAMESPACE, GATEWAY, AUDIT, policy, reads=False, writes=True, deletes=False)


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
