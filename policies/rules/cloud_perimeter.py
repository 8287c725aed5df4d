"""The data perimeter: our organisation, our VPC, encrypted transport. Judged by what the policies deny."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.cloud import (
    BUCKET,
    BUCKET_POLICY,
    ENDPOINT,
    FOREIGN,
    FOREIGN_ORGANISATION,
    KEY,
    TOPIC_POLICY,
    Cloud,
    breaks,
    bucket_arn,
    clouds,
    denying,
    policy,
)
from policies.iam import Request, answer
from policies.objects import at
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation

ORGANISATION: Final = "aws:principalorgid"
WAYS: Final = ("aws:sourcevpc", "aws:sourcevpce")
TLS: Final = ("aws:securetransport", "s3:tlsversion")
ON_OBJECTS: Final = ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject")
ON_BUCKET: Final = ("s3:ListBucket", "s3:PutBucketPolicy")
# Any object: in the layout of Pyroscope, of audit records, and at the top.
OBJECTS: Final = ("blocks/1/payments/01J/block.bin", "gateway/2026/01/01.jsonl", "x")


def _targets(cloud: Cloud) -> Iterator[tuple[Manifest, str, list[tuple[str, str]]]]:
    """Every policy that the perimeter has to stand in: the resource, the document, the requests to try on it."""
    for bucket in cloud.buckets:
        for resource in filter(cloud.readable, cloud.companions(BUCKET_POLICY, bucket)):
            arn = bucket_arn(bucket)
            tried = [(action, f"{arn}/{key}") for action in ON_OBJECTS for key in OBJECTS]
            yield resource, policy(resource), [*tried, *((action, arn) for action in ON_BUCKET)]
    for topic in filter(cloud.readable, cloud.of(TOPIC_POLICY)):
        yield topic, policy(topic), [("sns:Publish", cloud.topic)]


def _transport(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for resource, text, tried in _targets(cloud):
            weak = [{"aws:securetransport": "false"}]
            if resource["kind"] == BUCKET_POLICY:
                weak.append({"s3:tlsversion": "1.1"})
            for change in weak:
                open_to = [a for a, r in tried if not denying(text, cloud.request(a, r, change), *change)]
                if open_to:
                    how = "without TLS" if "aws:securetransport" in change else "over TLS before 1.2"
                    yield breaks(resource, f"lets {open_to[0]} through {how}")


def _organisation(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        keys = [
            (k, policy(k), [("kms:Decrypt", "*"), ("kms:GenerateDataKey", "*")])
            for k in cloud.of(KEY)
            if cloud.readable(k)
        ]
        for resource, text, tried in [*_targets(cloud), *keys]:
            if not text:
                yield breaks(resource, "has no policy: the account's administrators alone decide who uses it")
                continue
            foreign = [r for action, on in tried for r in cloud.foreign(action, on)]
            if through := [r for r in foreign if not denying(text, r, ORGANISATION)]:
                who = "a principal of another organisation" if through[0].principal else "anonymous requests"
                yield breaks(resource, f"lets {who} through to {through[0].action}: no Deny on aws:PrincipalOrgID")
            own = (cloud.request(action, on) for action, on in tried)
            if any(denying(text, request, ORGANISATION) for request in own):
                yield breaks(resource, f"refuses our own organisation, {cloud.said('cloud.organizationId')}")


def _vpc(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for bucket in cloud.buckets:
            if cloud.purpose(str(at(bucket, "spec", "bucket"))) == "state":
                continue  # Pulumi runs in CI, outside the VPC
            for resource in filter(cloud.readable, cloud.companions(BUCKET_POLICY, bucket)):
                yield from _inside(cloud, resource, bucket_arn(bucket))


def _inside(cloud: Cloud, resource: Manifest, arn: str) -> Iterator[Violation]:
    text = policy(resource)
    tried = [*((a, f"{arn}/{key}") for a in ON_OBJECTS for key in OBJECTS), ("s3:ListBucket", arn)]
    foreign = {"aws:sourcevpc": "vpc-00000000", "aws:sourcevpce": "vpce-00000000"}
    for how, change in (("from outside any VPC", dict.fromkeys(WAYS)), ("from another VPC", foreign)):
        if through := [a for a, r in tried if not denying(text, cloud.request(a, r, change), *WAYS)]:
            yield breaks(resource, f"lets {through[0]} through {how}: no Deny on aws:SourceVpc or aws:SourceVpce")
    if any(denying(text, cloud.request(a, r), *WAYS) for a, r in tried):
        yield breaks(resource, f"refuses our own VPC, {cloud.said('cloud.vpc.id')}")


def _endpoint(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        ours = [bucket_arn(b) for b in cloud.buckets]
        for endpoint in cloud.of(ENDPOINT):
            for field, wanted in (("vpcId", "cloud.vpc.id"), ("vpcEndpointType", "cloud.vpc.s3Endpoint.kind")):
                if str(at(endpoint, "spec", field)).lower() != str(cloud.said(wanted)).lower():
                    yield breaks(
                        endpoint, f"has {field} {at(endpoint, 'spec', field)}; the settings say {cloud.said(wanted)}"
                    )
            if not str(at(endpoint, "spec", "serviceName")).endswith(".s3"):
                yield breaks(endpoint, f"leads to {at(endpoint, 'spec', 'serviceName')}, not to S3")
            if not (text := policy(endpoint)):
                yield breaks(endpoint, "has no policy: whatever is stolen could be carried to any bucket")
                continue
            if not cloud.readable(endpoint):
                continue
            for what, request in _carried_out(cloud, ours):
                if answer(text, request) == "allow":
                    yield breaks(endpoint, f"lets {request.action} through {what}")


def _carried_out(cloud: Cloud, ours: Sequence[str]) -> Iterator[tuple[str, Request]]:
    """What an endpoint must not let through: each is a way for profiles to leave, or for a stranger to use ours."""
    elsewhere = {"aws:resourceorgid": FOREIGN_ORGANISATION}
    stranger = {ORGANISATION: FOREIGN_ORGANISATION, "aws:principalarn": FOREIGN, "aws:principalaccount": "000000000000"}
    for action in ("s3:PutObject", "s3:GetObject"):
        yield "to buckets of other organisations", cloud.request(action, "arn:aws:s3:::foreign/x", elsewhere)
        yield "to buckets that are not the platform's", cloud.request(action, "arn:aws:s3:::others-of-ours/x")
        for arn in ours:
            yield "for principals of other organisations", cloud.request(action, f"{arn}/x", stranger)
            yield "to buckets of other organisations", cloud.request(action, f"{arn}/x", elsewhere)
    for bucket in cloud.said("cloud.vpc.s3Endpoint.readableBuckets") or ():
        yield (
            f"to {bucket}, which may be read only",
            cloud.request("s3:PutObject", f"arn:aws:s3:::{bucket}/x", elsewhere),
        )
    for action in ("s3:CreateBucket", "s3:PutBucketPolicy", "s3:ListAllMyBuckets", "s3:PutReplicationConfiguration"):
        for arn in (*ours, "arn:aws:s3:::others-of-ours"):
            yield "which configures S3", cloud.request(action, arn)


_POLICIES: Final = (BUCKET, BUCKET_POLICY, TOPIC_POLICY, SETTINGS)
RULES: Final = (
    Rule(
        id="FP022",
        name="encrypted-transport",
        why="Without TLS, profiles and the tokens that fetch them can be read on the way.",
        remediation="Deny requests with aws:SecureTransport false, and to S3 with s3:TlsVersion below 1.2, for every "
        "action on the bucket and on its objects (components/aws/perimeter.py).",
        kinds=_POLICIES,
        check=_transport,
        scope="stack",
    ),
    Rule(
        id="FP023",
        name="organisation-perimeter",
        why="A role of another organisation that is let in by mistake, or by theft, reads every team's profiles.",
        remediation="Deny every action to principals whose aws:PrincipalOrgID is not `cloud.organizationId` "
        "(StringNotEqualsIfExists, so that anonymous requests are denied too) in bucket, key and topic policies.",
        kinds=(KEY, *_POLICIES),
        check=_organisation,
        scope="stack",
    ),
    Rule(
        id="FP024",
        name="vpc-perimeter",
        why="Credentials of a pod are worth nothing outside the VPC if the bucket asks where a request comes from.",
        remediation="Deny requests to the profile and audit buckets that do not come from `cloud.vpc.id` or through its"
        " S3 endpoint (aws:SourceVpc, aws:SourceVpce).",
        kinds=_POLICIES,
        check=_vpc,
        scope="stack",
    ),
    Rule(
        id="FP045",
        name="endpoint-policy",
        why="An endpoint that lets requests through to any bucket is the way by which a stolen role copies profiles to "
        "its own.",
        remediation="Allow the platform's own buckets to principals and resources of the own organisation "
        "(aws:PrincipalOrgID, aws:ResourceOrgID), and reading from the buckets that the settings list.",
        kinds=(BUCKET, ENDPOINT, SETTINGS),
        check=_endpoint,
        scope="stack",
    ),
)
