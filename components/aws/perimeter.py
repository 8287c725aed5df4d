"""The data perimeter as statements: our organisation, our VPC, encrypted transport, our key.

Each is a Deny, which no Allow anywhere can lift. ``IfExists`` makes a request that lacks the key fail: anonymous
requests have no organisation, requests over the internet no VPC. Condition keys and the exemption of AWS's own service
principals as in AWS's data-perimeter examples; calls that a service makes on a caller's behalf (aws:ViaAWSService) are
not exempt, since nothing here needs them.
"""

from collections.abc import Sequence

from components.aws.documents import Condition, Statement, merged
from components.aws.site import Site

_NO_SERVICE: Condition = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}


def unless(roles: Sequence[str]) -> Condition:
    """Everybody but these roles. A session of a role has the role's ARN here; of no role, no condition."""
    return {"ArnNotEquals": {"aws:PrincipalArn": list(roles)}} if roles else {}


def foreign_organisation(site: Site, actions: str, resources: str | Sequence[str]) -> Statement:
    """Principals of other organisations, and nobody at all."""
    return {
        "Sid": "DenyForeignOrganisation",
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": resources,
        "Condition": merged(
            {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": site.cloud.organization_id}}, _NO_SERVICE
        ),
    }


def plain_transport(actions: str, resources: str | Sequence[str]) -> Statement:
    """Requests without TLS."""
    return {
        "Sid": "DenyPlainTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def old_tls(resources: str | Sequence[str]) -> Statement:
    """S3 over TLS before 1.2, which AWS refuses by itself today: ours does not depend on that."""
    return {
        "Sid": "DenyOldTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resources,
        "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    }


def outside_vpc(site: Site, sid: str, resource: str, roles: Sequence[str]) -> Statement:
    """Requests that come by another way than the VPC's endpoint; ``roles`` may. Our own endpoint's id is not known
    before apply, the VPC's is: an endpoint that is there already is named itself."""
    endpoint, vpc = site.cloud.vpc.s3_endpoint, site.cloud.vpc.id
    way = {"aws:SourceVpce": endpoint.id} if endpoint.id else {"aws:SourceVpc": vpc}
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resource,
        "Condition": merged({"StringNotEqualsIfExists": way}, _NO_SERVICE, unless(roles)),
    }


def other_encryption(objects: str) -> list[Statement]:
    """Uploads that choose their own encryption. Who says nothing gets the bucket's key, which is ours; a key named in a
    request may be anybody's, an attacker's in another account too."""

    def deny(sid: str, condition: Condition) -> Statement:
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": objects,
            "Condition": condition,
        }

    header = "s3:x-amz-server-side-encryption"
    return [
        deny("DenyOtherKey", {"Null": {f"{header}-aws-kms-key-id": "false"}}),
        deny("DenyCustomerKey", {"Null": {f"{header}-customer-algorithm": "false"}}),
        deny("DenyOtherEncryption", {"Null": {header: "false"}, "StringNotEquals": {header: "aws:kms"}}),
    ]
