"""What several rules need to know of the AWS side: which bucket is for what, its companions, and who is who."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.iam import NotUnderstood, Request, Statement, applies, statements
from policies.objects import at
from policies.resources import SETTINGS
from policies.rule import Manifest, Violation

BUCKET: Final = "aws:s3/bucket:Bucket"
BUCKET_POLICY: Final = "aws:s3/bucketPolicy:BucketPolicy"
PUBLIC_ACCESS: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
OWNERSHIP: Final = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
VERSIONING: Final = "aws:s3/bucketVersioning:BucketVersioning"
ENCRYPTION: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
LIFECYCLE: Final = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
OBJECT_LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
KEY: Final = "aws:kms/key:Key"
KEY_POLICY: Final = "aws:kms/keyPolicy:KeyPolicy"
ALIAS: Final = "aws:kms/alias:Alias"
ROLE: Final = "aws:iam/role:Role"
ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"
POD_IDENTITY: Final = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
BUDGET: Final = "aws:budgets/budget:Budget"
TOPIC: Final = "aws:sns/topic:Topic"
TOPIC_POLICY: Final = "aws:sns/topicPolicy:TopicPolicy"
OPTIONAL: Final = (KEY, ENDPOINT, ROLE)  # of these, rules say themselves that there is no policy
FOREIGN: Final = "arn:aws:iam::000000000000:role/foreign"
FOREIGN_ORGANISATION: Final = "o-foreign0000"
PURPOSES: Final = ("profiles", "audit", "state")


@dataclass(frozen=True)
class Cloud:
    """The cloud side of a stack beside the settings it was made from."""

    manifests: Sequence[Manifest]
    settings: Manifest

    def of(self, *kinds: str) -> list[Manifest]:
        """The resources of some kinds."""
        return [m for m in self.manifests if m.get("kind") in kinds]

    def said(self, path: str) -> Any:
        """A value of the settings at a dotted path."""
        return at(self.settings, "spec", *path.split("."))

    @property
    def environment(self) -> str:
        """Name of the environment."""
        return str(self.said("environment"))

    @property
    def account(self) -> str:
        """The account number that everything is in."""
        return str(self.said("cloud.accountId"))

    def purpose(self, bucket: str) -> str:
        """What a bucket is for: profiles, audit, state, or its own name where settings know no such bucket."""
        named = {self.said("backend.objectStorage.bucket"): "profiles"}
        named |= {self.said(f"cloud.buckets.{p}"): p for p in ("audit", "state")}
        if bucket in named:
            return named[bucket]
        known = [p for p in ("audit", "state") if bucket.endswith(f"-flameplane-{p}-{self.environment}")]
        return known[0] if known else bucket

    @property
    def buckets(self) -> list[Manifest]:
        """The buckets that settings know. Of any other, FP047 says that it is none of the platform's."""
        return [b for b in self.of(BUCKET) if self.purpose(bucket_name(b)) in PURPOSES]

    @property
    def topic(self) -> str:
        """ARN of the topic of notices."""
        return f"arn:aws:sns:{self.said('cloud.region')}:{self.account}:flameplane-notices-{self.environment}"

    def companions(self, kind: str, bucket: Manifest) -> list[Manifest]:
        """The resources of a kind that are about a bucket."""
        return [m for m in self.of(kind) if at(m, "spec", "bucket") == bucket_name(bucket)]

    def readable(self, resource: Manifest, key: str = "policy") -> bool:
        """Whether a policy document has statements. Of one that has none FP046 alone speaks, which needs settings."""
        text = at(resource, "spec", key)
        if not self.said("cloud") or (not text and resource.get("kind") in OPTIONAL):
            return True
        try:
            return bool(statements(str(text)))
        except NotUnderstood:
            return False

    def roles(self, *lists: str) -> list[str]:
        """ARNs of roles that the settings list, such as `adminRoleArns`."""
        return [str(arn) for one in lists for arn in self.said(f"cloud.{one}") or ()]

    def request(
        self, action: str, resource: str, changes: Mapping[str, str | None] | None = None, role: str = ""
    ) -> Request:
        """A request by a role of our account, from inside the VPC, over TLS. ``changes``: condition keys that it has
        otherwise; None for one that it lacks."""
        endpoint = self.said("cloud.vpc.s3Endpoint.id") or "vpce-of-this-environment"
        context: dict[str, str | None] = {
            "aws:principalorgid": str(self.said("cloud.organizationId")),
            "aws:resourceorgid": str(self.said("cloud.organizationId")),
            "aws:principalaccount": self.account,
            "aws:principalarn": role or f"arn:aws:iam::{self.account}:role/some-role",
            "aws:principalisawsservice": "false",
            "aws:viaawsservice": "false",
            "aws:securetransport": "true",
            "s3:tlsversion": "1.3",
            "aws:sourcevpc": str(self.said("cloud.vpc.id")),
            "aws:sourcevpce": str(endpoint),
        }
        known = {key: value for key, value in {**context, **(changes or {})}.items() if value is not None}
        return Request(action, resource, known.get("aws:principalarn"), context=known)

    def foreign(self, action: str, resource: str) -> Iterator[Request]:
        """The same by a role of another organisation, and by nobody."""
        who = {"aws:principalarn": FOREIGN, "aws:principalorgid": FOREIGN_ORGANISATION}
        yield self.request(action, resource, {**who, "aws:principalaccount": "000000000000"})
        yield self.request(action, resource, dict.fromkeys((*who, "aws:principalaccount")))


def clouds(manifests: Sequence[Manifest]) -> Iterator[Cloud]:
    """The cloud side of a stack, if it has one."""
    resources = [m for m in manifests if str(m.get("kind")).startswith("aws:")]
    if resources:
        known = [m for m in manifests if m.get("kind") == SETTINGS]
        yield Cloud(resources, known[0] if known else {})


def bucket_name(bucket: Manifest) -> str:
    """Name of a bucket; every name is explicit."""
    return str(at(bucket, "spec", "bucket") or "")


def bucket_arn(bucket: Manifest) -> str:
    """ARN of a bucket."""
    return f"arn:aws:s3:::{bucket_name(bucket)}"


def denying(text: str, request: Request, *keys: str) -> list[Statement]:
    """The statements that deny a request by a condition on one of ``keys``: what else denies it is beside the point."""
    return [s for s in statements(text) if s.get("Effect") == "Deny" and mentions(s, *keys) and applies(s, request)]


def turned(statement: Statement) -> bool:
    """Whether a statement is called a Deny and is none. The rule that misses the Deny says so, or FP046."""
    return str(statement.get("Sid", "")).startswith("Deny") and statement.get("Effect") != "Deny"


def mentions(statement: Statement, *keys: str) -> bool:
    """Whether a statement has a condition on one of these keys."""
    return any(key.lower() in keys for of in (statement.get("Condition") or {}).values() for key in of)


def policy(manifest: Manifest) -> str:
    """The policy document of a resource."""
    return str(at(manifest, "spec", "policy") or "")


def breaks(manifest: Manifest, how: str) -> Violation:
    """A violation whose message starts with this resource."""
    kind = str(manifest.get("kind")).rpartition(":")[2]
    return Violation(f"{kind} {at(manifest, 'metadata', 'name')} {how}", manifest)
