"""Forms of the names and ids that AWS gives."""

from typing import Annotated, Final

from schemas.base import LABEL, form

AccountId = Annotated[str, form(r"^[0-9]{12}$", 'an account number of 12 digits, in quotes: "111122223333"')]
OrganizationId = Annotated[str, form(r"^o-[a-z0-9]{10,32}$", "the id of an AWS organisation: o-a1b2c3d4e5")]
_ID: Final = "([0-9a-f]{8}|[0-9a-f]{17})"  # the older form and today's (EC2 user guide, "Resource IDs")
ClusterName = Annotated[
    str, form(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", "the name of an EKS cluster: letters, digits, _ and -")
]
VpcId = Annotated[str, form(rf"^vpc-{_ID}$", "the id of a VPC: vpc-0a1b2c3d4e5f60718")]
RouteTableId = Annotated[str, form(rf"^rtb-{_ID}$", "the id of a route table: rtb-0a1b2c3d4e5f60718")]
SubnetId = Annotated[str, form(rf"^subnet-{_ID}$", "the id of a subnet: subnet-0a1b2c3d4e5f60718")]
SecurityGroupId = Annotated[str, form(rf"^sg-{_ID}$", "the id of a security group: sg-0a1b2c3d4e5f60718")]
EndpointId = Annotated[str, form(rf"^vpce-{_ID}$", "the id of a VPC endpoint: vpce-0a1b2c3d4e5f60718")]
# No wildcard: a role that does not exist yet must not be admitted by its name's beginning.
RoleArn = Annotated[
    str,
    form(
        r"^arn:aws:iam::[0-9]{12}:role(/[A-Za-z0-9+=,.@_-]{1,64}){1,9}$",
        "the ARN of one role, without wildcards: arn:aws:iam::111122223333:role/platform-admin",
    ),
]
_ATOM: Final = "[A-Za-z0-9_+&'=~#-]+"
Email = Annotated[
    str,
    form(rf"^{_ATOM}(\.{_ATOM})*@({LABEL}\.)+[a-z]{{2,24}}$", "an e-mail address: platform@example.com"),
]
TagKey = Annotated[
    str,
    form(
        r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$", "a tag key: letters, digits and _.- without a colon, at most 128 characters"
    ),
]
TagValue = Annotated[
    str,
    form(
        r"^[A-Za-z0-9_.:/=+@-]([A-Za-z0-9 _.:/=+@-]{0,254}[A-Za-z0-9_.:/=+@-])?$",
        "letters, digits, inner spaces and _.:/=+@-, at most 256",
    ),
]
