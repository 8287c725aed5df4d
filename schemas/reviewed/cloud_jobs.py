"""What each service account may do in S3. A row is a job: keys that it reads, writes, deletes, and prefixes it lists.

Whoever is in no row has no role. What a row gives, its pods give to whoever gets into them.
"""

from dataclasses import dataclass
from typing import Final

from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE
from schemas.reviewed.cloud import AUDIT, PROFILES, Site, Statement, allow

POD_IDENTITY: Final = "pods.eks.amazonaws.com"


@dataclass(frozen=True)
class Job:
    """``lists``: prefixes; "" is the whole bucket. ``locates``: whether it asks where the bucket is."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    namespace: str = BACKEND_NAMESPACE
    bucket: str = PROFILES
    locates: bool = True


# Who reads objects lists the whole bucket: S3 says 403 for an object that is gone otherwise, and Pyroscope takes that
# for a failure (docs/aws.md).
_ALL: Final = ("",)
_GATEWAY: Final = Job(writes=("gateway/*",), namespace=ACCESS_NAMESPACE, bucket=AUDIT, locates=False)
# By architecture and service account. Nobody but the compaction worker deletes a profile.
JOBS: Final[dict[str, dict[str, Job]]] = {
    "microservices": {
        "gateway": _GATEWAY,
        "pyroscope-compaction-worker": Job(
            reads=("blocks/*", "segments/*"), writes=("blocks/*",), deletes=("blocks/*", "segments/*"), lists=_ALL
        ),
        "pyroscope-distributor": Job(reads=("adaptive_placement/*",), lists=_ALL),
        "pyroscope-metastore": Job(
            reads=("adaptive_placement/*", "dlq/*"), writes=("adaptive_placement/*",), deletes=("dlq/*",), lists=_ALL
        ),
        "pyroscope-query-backend": Job(reads=("blocks/*", "segments/*"), lists=_ALL),
        "pyroscope-query-frontend": Job(deletes=("query-diagnostics/*",), lists=("query-diagnostics/",)),
        "pyroscope-segment-writer": Job(writes=("dlq/*", "segments/*"), lists=_ALL),
        "pyroscope-tenant-settings": Job(reads=("tenant_settings.json",), writes=("tenant_settings.json",), lists=_ALL),
    },
    "process": {
        "gateway": _GATEWAY,
        "pyroscope": Job(
            reads=("adaptive_placement/*", "blocks/*", "dlq/*", "segments/*", "tenant_settings.json"),
            writes=("adaptive_placement/*", "blocks/*", "dlq/*", "segments/*", "tenant_settings.json"),
            deletes=("blocks/*", "dlq/*", "query-diagnostics/*", "segments/*"),
            lists=_ALL,
        ),
    },
}


def jobs(site: Site) -> dict[str, Job]:
    """The jobs of an environment by service account."""
    return JOBS[site.architecture]


def doing(site: Site, bucket: str, what: str) -> list[str]:
    """ARNs of the roles that read, write or delete in a bucket."""
    return [site.role_arn(a) for a, job in jobs(site).items() if job.bucket == bucket and getattr(job, what)]


def role_policy(site: Site, account: str) -> list[Statement]:
    """The only policy of a service account's role."""
    job = jobs(site)[account]
    bucket = site.arn(job.bucket)
    found = [allow("Locate", ["s3:GetBucketLocation"], bucket)] if job.locates else []
    # The gateway puts whole records: it has no upload in parts to list or abort.
    parts = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"] if job.bucket == PROFILES else []
    for sid, actions, keys in (
        ("Read", ["s3:GetObject"], job.reads),
        ("Append" if job.bucket == AUDIT else "Write", ["s3:PutObject", *parts], job.writes),
        ("Delete", ["s3:DeleteObject"], job.deletes),
    ):
        if keys:
            found.append(allow(sid, actions, [f"{bucket}/{key}" for key in keys]))
    if job.lists:
        within = None if "" in job.lists else {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in job.lists]}}
        found.append(allow("List", ["s3:ListBucket"], bucket, when=within))
    return found


def trust(site: Site, account: str) -> list[Statement]:
    """Who gets the role: EKS Pod Identity, for one service account of one cluster of one account."""
    cloud = site.cloud
    tags = {
        "aws:SourceAccount": cloud.account_id,
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{cloud.region}:{cloud.account_id}:cluster/{cloud.eks_cluster}",
        "aws:RequestTag/kubernetes-namespace": jobs(site)[account].namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }
    statement: Statement = {
        "Sid": "AllowPodIdentity",
        "Effect": "Allow",
        "Principal": {"Service": POD_IDENTITY},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": tags},
    }
    return [statement]
