"""The cloud account that an environment's buckets, keys, roles and budget are declared in. Absent: no cloud."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schemas.base import UNIQUE, Conflict, Model, refuse
from schemas.settings.backend import ObjectStorage
from schemas.settings.cloud_forms import (
    AccountId,
    ClusterName,
    Email,
    EndpointId,
    OrganizationId,
    RoleArn,
    RouteTableId,
    SecurityGroupId,
    SubnetId,
    TagKey,
    TagValue,
    VpcId,
)
from schemas.settings.forms import AwsRegion, Bucket, is_private

COMPLIANCE_DAYS: Final = 365  # the least time for which nobody, the root user included, can delete an audit record
# Per kind of endpoint: what it needs, which the others do not have.
_NEEDS: Final = {
    "gateway": ("route_table_ids",),
    "interface": ("subnet_ids", "security_group_ids"),
    "existing": ("id",),
}
_NAMES: Final = {
    "route_table_ids": "routeTableIds",
    "subnet_ids": "subnetIds",
    "security_group_ids": "securityGroupIds",
    "id": "id",
}


class S3Endpoint(Model):
    """The way from the VPC to S3. Its policy lets requests through to the platform's own buckets and no others."""

    kind: Literal["gateway", "interface", "existing"] = Field(
        description="`gateway` is free and takes the S3 traffic of whole route tables; `interface` has addresses of "
        "its own, which a NetworkPolicy can name; `existing` is somebody else's, whose policy is theirs.",
        examples=["interface"],
    )
    route_table_ids: Annotated[list[RouteTableId], UNIQUE] = Field(
        default=[],
        description="Route tables of the platform's nodes (gateway).",
        examples=[["rtb-0a1b2c3d4e5f60718"]],
    )
    subnet_ids: Annotated[list[SubnetId], UNIQUE] = Field(
        default=[],
        description="Subnets that hold the endpoint's addresses (interface).",
        examples=[["subnet-0a1b2c3d4e5f60718"]],
    )
    security_group_ids: Annotated[list[SecurityGroupId], UNIQUE] = Field(
        default=[],
        description="Security groups of the endpoint; they let the nodes in on 443 (interface).",
        examples=[["sg-0a1b2c3d4e5f60718"]],
    )
    id: EndpointId | None = Field(
        default=None, description="The endpoint (existing).", examples=["vpce-0a1b2c3d4e5f60718"]
    )
    readable_buckets: Annotated[list[Bucket], UNIQUE] = Field(
        default=[],
        description="Buckets of others that may be read through the endpoint, image layers of ECR for one. Reading "
        "only, so that nothing can be carried out that way.",
        examples=[["prod-eu-central-1-starport-layer-bucket"]],
    )

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "S3Endpoint":
        conflicts = []
        for kind, fields in _NEEDS.items():
            for field in fields:
                name, given = _NAMES[field], bool(getattr(self, field))
                if kind == self.kind and not given:
                    conflicts.append(Conflict("070", (name,), f"an endpoint of kind {kind} needs {name}"))
                elif kind != self.kind and given:
                    message = f"{name} belongs to an endpoint of kind {kind}, this one is {self.kind}"
                    conflicts.append(Conflict("070", (name,), message, (), ("kind",)))
        if self.kind == "existing" and self.readable_buckets:
            message = "the policy of an existing endpoint is its owner's: readableBuckets would have no effect"
            conflicts.append(Conflict("070", ("readableBuckets",), message, (), ("kind",)))
        refuse(conflicts)
        return self


class Vpc(Model):
    """The VPC of the cluster: profiles and audit records are read and written from inside it only."""

    id: VpcId = Field(description="The VPC.", examples=["vpc-0a1b2c3d4e5f60718"])
    s3_endpoint: S3Endpoint = Field(description="The way from the VPC to S3.")


class Buckets(Model):
    """Names of buckets where the usual ones do not fit. That of the profiles is `backend.objectStorage.bucket`."""

    audit: Bucket | None = Field(
        default=None,
        description="Absent: `<organisation>-flameplane-audit-<environment>`.",
        examples=["acme-flameplane-audit-prod"],
    )
    state: Bucket | None = Field(
        default=None,
        description="Absent: `<organisation>-flameplane-state-<environment>`.",
        examples=["acme-flameplane-state-prod"],
    )


class Audit(Model):
    """How long audit records cannot be deleted (S3 Object Lock)."""

    mode: Literal["compliance", "governance"] = Field(
        description="`compliance`: nobody can delete or shorten, not even the root user (prod). `governance`: those "
        "with s3:BypassGovernanceRetention can, so that an environment can be given up.",
        examples=["compliance"],
    )
    days: int = Field(ge=1, le=3650, description="Days that each record is locked for.", examples=[400])


class CloudBudget(Model):
    """Who hears about the bill, and from which sum on."""

    monthly_usd: float = Field(
        gt=0, description="Monthly ceiling in US dollars: notices at 80 % and 100 %.", examples=[1500.0]
    )
    emails: Annotated[list[Email], UNIQUE] = Field(
        min_length=1,
        description="Who is notified; each has to confirm the subscription once.",
        examples=[["platform@example.com"]],
    )
    payer_role_arn: RoleArn | None = Field(
        default=None,
        description="Role in the organisation's payer account that activates the cost-allocation tags; member "
        "accounts cannot. Name it in one environment only, since tags are activated once per organisation. Absent: not "
        "done here.",
        examples=["arn:aws:iam::999988887777:role/flameplane-cost-tags"],
    )


class Cloud(Model):
    """The cloud account that buckets, keys, roles and budget are declared in; the cluster and the VPC exist already."""

    provider: Literal["aws"] = Field(description="Which cloud.", examples=["aws"])
    account_id: AccountId = Field(
        description="The account; nothing is declared in any other.", examples=["111122223333"]
    )
    organization_id: OrganizationId = Field(
        description="The AWS organisation: requests from outside it are refused.", examples=["o-a1b2c3d4e5"]
    )
    region: AwsRegion = Field(description="Region of everything.", examples=["eu-central-1"])
    eks_cluster: ClusterName = Field(
        description="The EKS cluster; its add-on eks-pod-identity-agent hands out the roles.", examples=["acme-prod"]
    )
    vpc: Vpc = Field(description="The VPC of that cluster.")
    buckets: Buckets = Field(default=Buckets(), description="Names of buckets where the usual ones do not fit.")
    audit: Audit = Field(description="How long audit records cannot be deleted.")
    budget: CloudBudget = Field(description="Who hears about the bill, and from which sum on.")
    admin_role_arns: Annotated[list[RoleArn], UNIQUE] = Field(
        min_length=1,
        description="Roles that run Pulumi: they configure buckets and keys, from outside the VPC too, and can read "
        "neither profiles nor audit records. A key without any would be out of everybody's reach.",
        examples=[["arn:aws:iam::111122223333:role/flameplane-deploy"]],
    )
    auditor_role_arns: Annotated[list[RoleArn], UNIQUE] = Field(
        default=[],
        description="Roles that read audit records, from inside the VPC; they may be another account's.",
        examples=[["arn:aws:iam::444455556666:role/security-audit"]],
    )
    break_glass_role_arns: Annotated[list[RoleArn], UNIQUE] = Field(
        default=[],
        description="Roles that read profiles past the gateway, from anywhere. Empty, but for the days of an incident.",
        examples=[["arn:aws:iam::111122223333:role/break-glass"]],
    )
    tags: dict[TagKey, TagValue] = Field(
        default={},
        max_length=20,
        description="Tags of everything, beside `flameplane:environment` and `flameplane:component`.",
        examples=[{"cost-center": "platform"}],
    )

    @model_validator(mode="after")
    def _roles_are_of_the_account(self) -> "Cloud":
        named = (("adminRoleArns", self.admin_role_arns), ("breakGlassRoleArns", self.break_glass_role_arns))
        accounts = [arn.split(":")[4] for _, arns in named for arn in arns]
        if len(accounts) > 1 and {self.account_id} != set(accounts) == {accounts[0]}:
            message = f"all roles are of account {accounts[0]}, this is {self.account_id}"
            refuse([Conflict("073", ("accountId",), message, (accounts[0],), ("adminRoleArns",))])
        refuse([*(c for name, arns in named for c in self._foreign(name, arns)), *self._two_duties()])
        return self

    def _two_duties(self) -> list[Conflict]:
        """Whoever configures reads nothing, and whoever reads records reads no profiles."""
        duties = {
            "adminRoleArns": self.admin_role_arns,
            "auditorRoleArns": self.auditor_role_arns,
            "breakGlassRoleArns": self.break_glass_role_arns,
        }
        names = list(duties)
        return [
            Conflict("084", (name, i), f"{arn} stands in {other} already", because=(other, duties[other].index(arn)))
            for number, name in enumerate(names)
            for i, arn in enumerate(duties[name])
            for other in names[:number]
            if arn in duties[other]
        ]

    def _foreign(self, name: str, arns: Sequence[str]) -> list[Conflict]:
        return [
            Conflict("073", (name, index), f"{arn} is a role of another account", (), ("accountId",))
            for index, arn in enumerate(arns)
            if arn.split(":")[4] != self.account_id
        ]


def conflicts(environment: str, cloud: Cloud | None, storage: ObjectStorage) -> list[Conflict]:
    """What does not go together between the environment, its object storage and its cloud account."""
    at = ("backend", "objectStorage")
    if cloud is None:
        if storage.kms_key and (region := storage.kms_key.split(":")[3]) != storage.region:
            message = f"the key is in {region}, the bucket in {storage.region}"
            return [Conflict("072", (*at, "kmsKey"), message, (), (*at, "region"))]
        if not storage.endpoint.endswith(".amazonaws.com"):
            return []
        message = "the bucket is on AWS: without cloud nothing would declare its lifecycle, key and policies"
        return [Conflict("071", ("cloud",), message, (), (*at, "endpoint"))]
    if environment == "local":
        return [Conflict("071", ("cloud",), "environment local has no cloud account")]
    return [*_storage_conflicts(cloud, storage), *_audit_conflicts(environment, cloud.audit)]


def _storage_conflicts(cloud: Cloud, storage: ObjectStorage) -> list[Conflict]:
    at, because = ("backend", "objectStorage"), ("cloud", "region")
    found = []
    regional = f"s3.{cloud.region}.amazonaws.com"
    if storage.region != cloud.region and storage.endpoint == f"s3.{storage.region}.amazonaws.com":
        message = f"the bucket and its endpoint are in {storage.region}, the account's resources in {cloud.region}"
        reads = ((*at, "endpoint"),)
        found.append(Conflict("072", because, message, (storage.region,), (*at, "region"), reads))
    elif storage.kind == "s3" and storage.endpoint != regional:  # another kind is for environment local only
        message = f"the endpoint of the cloud's region is {regional}"
        found.append(Conflict("072", (*at, "endpoint"), message, (regional,), because))
    elif storage.region != cloud.region:
        message = f"the bucket is declared in {cloud.region}"
        found.append(Conflict("072", (*at, "region"), message, (cloud.region,), because))
    if storage.egress and cloud.vpc.s3_endpoint.kind == "interface" and not is_private(storage.egress):
        message = f"an endpoint of kind interface has addresses of the VPC, and {storage.egress} is of the internet"
        found.append(Conflict("085", (*at, "egress"), message, (), ("cloud", "vpc", "s3Endpoint", "kind")))
    if storage.credentials_secret:
        message = "with cloud, pods get their role from EKS Pod Identity: leave credentialsSecret out"
        found.append(Conflict("072", (*at, "credentialsSecret"), message, (), ("cloud",)))
    if storage.kms_key:
        message = "with cloud, the bucket encrypts by its own key and refuses uploads that name any: leave kmsKey out"
        found.append(Conflict("072", (*at, "kmsKey"), message, (), ("cloud",)))
    for name, bucket in (("audit", cloud.buckets.audit), ("state", cloud.buckets.state)):
        if bucket == storage.bucket:
            message = f"{bucket} is the bucket of the profiles"
            found.append(Conflict("072", ("cloud", "buckets", name), message, (), (*at, "bucket")))
    return found


def _audit_conflicts(environment: str, audit: Audit) -> list[Conflict]:
    at, found = ("cloud", "audit"), []
    if environment != "prod":
        if audit.mode != "governance":
            message = f"environment {environment} could never be given up: its records would be locked for good"
            found.append(Conflict("074", (*at, "mode"), message, ("governance",)))
        return found
    if audit.mode != "compliance":
        message = "audit records of prod can be deleted by nobody while they are locked"
        found.append(Conflict("074", (*at, "mode"), message, ("compliance",)))
    if audit.days < COMPLIANCE_DAYS:
        message = f"audit records of prod are locked for {COMPLIANCE_DAYS} days or more, not {audit.days}"
        found.append(Conflict("074", (*at, "days"), message))
    return found
