"""The way from the VPC to S3: whose requests pass, and to which buckets."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws.ec2 import VpcEndpoint

from components.aws.documents import Statement, document
from components.aws.site import AUDIT, PROFILES, Site
from components.base import Component
from schemas.allowed import PROFILE_ACTIONS


@dataclass(frozen=True)
class S3EndpointArgs:
    """The account."""

    site: Site


class S3Endpoint(Component):
    """VPC endpoint of S3, whose policy keeps a stolen role from carrying profiles into somebody else's bucket.

    It takes all S3 traffic of its route tables (gateway) or of the whole VPC (interface, by private DNS): what else
    reads from S3 there stands in ``readableBuckets``, or the platform's nodes get a VPC or route tables of their own.
    """

    def __init__(self, name: str, args: S3EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "S3Endpoint", name, opts)
        site, endpoint = args.site, args.site.cloud.vpc.s3_endpoint
        way: dict[str, Any] = {"vpc_endpoint_type": "Gateway", "route_table_ids": endpoint.route_table_ids}
        if endpoint.kind == "interface":
            way = {
                "vpc_endpoint_type": "Interface",
                "subnet_ids": endpoint.subnet_ids,
                "security_group_ids": endpoint.security_group_ids,
                "private_dns_enabled": True,
                # Without a gateway endpoint beside it, as S3 would otherwise ask for one.
                "dns_options": {"private_dns_only_for_inbound_resolver_endpoint": False},
            }
        VpcEndpoint(
            "s3",
            vpc_id=site.cloud.vpc.id,
            service_name=f"com.amazonaws.{site.cloud.region}.s3",
            policy=policy(site),
            tags={"Name": f"flameplane-{site.environment}-s3", **site.tags("endpoint")},
            opts=self.options(),
            **way,
        )
        self.register_outputs({})


def policy(site: Site) -> str:
    """Our principals to our buckets; and reading, for everybody who may, from the buckets that the settings list."""
    organisation = site.cloud.organization_id
    buckets = [site.bucket_arn(PROFILES), site.bucket_arn(AUDIT)]
    own: Statement = {
        "Sid": "AllowOwnBuckets",
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(PROFILE_ACTIONS),  # of all pods together: the gateway needs no other
        "Resource": [*buckets, *(f"{arn}/*" for arn in buckets)],
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": organisation, "aws:ResourceOrgID": organisation}},
    }
    readable = site.cloud.vpc.s3_endpoint.readable_buckets
    if not readable:
        return document(own)
    others: Statement = {
        "Sid": "AllowReadingOfOthers",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*" for bucket in readable],
    }
    return document(own, others)
