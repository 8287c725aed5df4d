"""A table of requests against the policies that are declared: who gets through, and what exactly refuses the others.

Proves, by an offline evaluation of AWS's rules over identity, bucket, key, endpoint and trust policies together, that
each precaution refuses what it is for: without the ones named in a row, the same request would be allowed. Cannot prove
how AWS fills in condition keys, nor what Object Lock and public access blocks add on top.
"""

from functools import cache
from pathlib import Path

import pytest
from iam_simulator import simulate
from iam_world import FOREIGN_BUCKET, Request, World

BLOCK, SEGMENT = "profiles/blocks/1/payments/01J/block.bin", "profiles/segments/1/anonymous/01J/block.bin"
RECORD = "audit/gateway/lines/gateway-0/000000000001-000000000009-1f2e3d4c5b6a7988.jsonl.gz"
ONCE = {"s3:if-none-match": "*"}
STATE = "state/.pulumi/stacks/flameplane/prod.json"
LAYER = "prod-eu-central-1-starport-layer-bucket/layer"
OUTSIDE = {"aws:SourceVpc": None}
ELSEWHERE = {"aws:SourceVpc": "vpc-99999999999999999"}
HEADER = "s3:x-amz-server-side-encryption"
FOREIGN_KEY = "arn:aws:kms:eu-central-1:000011112222:key/99999999-12ab-34cd-56ef-1234567890ab"
QUERY, WRITER, COMPACTION = "pyroscope-query-backend", "pyroscope-segment-writer", "pyroscope-compaction-worker"
FRONTEND, DISTRIBUTOR = "pyroscope-query-frontend", "pyroscope-distributor"
GET, PUT, DELETE, LIST = "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"
POD_TAGS = {
    "aws:SourceAccount": "111122223333",
    "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-central-1:111122223333:cluster/flameplane-prod",
    "aws:RequestTag/kubernetes-namespace": "flameplane-backend",
    "aws:RequestTag/kubernetes-service-account": QUERY,
}
OF_BUDGETS = {"aws:SourceAccount": "111122223333", "aws:SourceArn": "arn:aws:budgets::111122223333:budget/flameplane"}
OF_AN_ALARM = {
    "aws:SourceAccount": "111122223333",
    "aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:flameplane-prod-past-the-gateway",
}
PODS, BUDGETS, ALARMS = "pods.eks.amazonaws.com", "budgets.amazonaws.com", "cloudwatch.amazonaws.com"
KEY_OF_PROFILES = {
    "kms:ViaService": "s3.eu-central-1.amazonaws.com",
    "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::acme-flameplane-profiles-prod",
}

ALLOWED = [
    # The platform at work, from inside the VPC.
    Request(QUERY, GET, BLOCK),
    Request(QUERY, GET, SEGMENT),
    Request(QUERY, LIST, "profiles"),
    Request(WRITER, PUT, SEGMENT),
    Request(WRITER, PUT, SEGMENT, {HEADER: "aws:kms"}),
    Request(COMPACTION, GET, SEGMENT),
    Request(COMPACTION, PUT, BLOCK),
    Request(COMPACTION, DELETE, SEGMENT),
    Request(DISTRIBUTOR, GET, "profiles/adaptive_placement/placement_rules.binpb"),
    Request("pyroscope-metastore", PUT, "profiles/adaptive_placement/placement_rules.binpb"),
    Request("pyroscope-tenant-settings", PUT, "profiles/tenant_settings.json"),
    Request(FRONTEND, LIST, "profiles", {"s3:prefix": "query-diagnostics/"}),
    Request("gateway", PUT, RECORD, ONCE),
    Request("pyroscope", GET, BLOCK, {"aws:SourceVpc": "vpc-0a1b2c3d4e5f60718"}, stack="dev"),
    # The deploy job, from outside: buckets, keys and its own state.
    Request("deploy", "s3:PutBucketPolicy", "profiles", OUTSIDE),
    Request("deploy", "s3:GetLifecycleConfiguration", "profiles", OUTSIDE),
    Request("deploy", LIST, "profiles", OUTSIDE),
    Request("deploy", GET, STATE, OUTSIDE),
    Request("deploy", PUT, STATE, OUTSIDE),
    Request("deploy", "kms:PutKeyPolicy", "profiles"),
    Request("deploy", "kms:ScheduleKeyDeletion", "profiles"),
    # Auditors of another account, from inside the VPC; giving up an environment that is not prod.
    Request("auditor", GET, RECORD),
    Request("auditor", LIST, "audit"),
    Request("deploy", "s3:DeleteObjectVersion", RECORD, OUTSIDE, stack="staging"),
    Request("deploy", "s3:BypassGovernanceRetention", RECORD, OUTSIDE, stack="staging"),
    # What nodes read through the endpoint.
    Request("account-admin", GET, LAYER),
    # Services of AWS.
    Request(PODS, "sts:AssumeRole", f"role/{QUERY}", POD_TAGS),
    Request(BUDGETS, "sns:Publish", "topic", OF_BUDGETS),
    Request(ALARMS, "sns:Publish", "topic", OF_AN_ALARM),
    Request(ALARMS, "kms:GenerateDataKey", "notices", OF_AN_ALARM),
    Request(ALARMS, "kms:Decrypt", "notices", OF_AN_ALARM),
]
REFUSED = [
    # Each pod does its own work and no other's.
    Request(QUERY, PUT, BLOCK, by=("identity", "key")),
    Request(QUERY, DELETE, BLOCK, by=("identity", "DenyDeletionByOthers")),
    Request(WRITER, PUT, BLOCK, by=("identity",)),
    Request(WRITER, GET, SEGMENT, by=("identity",)),
    Request(DISTRIBUTOR, GET, BLOCK, by=("identity",)),
    Request(FRONTEND, LIST, "profiles", {"s3:prefix": "blocks/"}, by=("identity",)),
    Request("gateway", GET, RECORD, by=("identity",)),
    Request("gateway", PUT, "audit/elsewhere", ONCE, by=("identity",)),
    Request("gateway", GET, BLOCK, by=("identity", "key")),
    Request("gateway", DELETE, RECORD, by=("identity", "DenyDeletion")),
    # Outside the VPC, with the right role.
    Request(QUERY, GET, BLOCK, OUTSIDE, by=("DenyObjectsOutsideVpc",)),
    Request(QUERY, GET, BLOCK, ELSEWHERE, by=("DenyObjectsOutsideVpc",)),
    Request(QUERY, LIST, "profiles", OUTSIDE, by=("DenyBucketOutsideVpc",)),
    Request(WRITER, PUT, SEGMENT, OUTSIDE, by=("DenyObjectsOutsideVpc",)),
    Request("gateway", PUT, RECORD, {**ONCE, **OUTSIDE}, by=("DenyObjectsOutsideVpc",)),
    Request("auditor", GET, RECORD, OUTSIDE, by=("DenyObjectsOutsideVpc",)),
    Request("auditor", LIST, "audit", ELSEWHERE, by=("DenyBucketOutsideVpc",)),
    # Transport.
    Request(QUERY, GET, BLOCK, {"aws:SecureTransport": "false"}, by=("DenyPlainTransport",)),
    Request("deploy", GET, STATE, {**OUTSIDE, "aws:SecureTransport": "false"}, by=("DenyPlainTransport",)),
    Request(QUERY, GET, BLOCK, {"s3:TlsVersion": "1.1"}, by=("DenyOldTls",)),
    # Keys.
    Request(WRITER, PUT, SEGMENT, {f"{HEADER}-aws-kms-key-id": FOREIGN_KEY}, by=("DenyOtherKey",)),
    Request("gateway", PUT, RECORD, {**ONCE, f"{HEADER}-aws-kms-key-id": FOREIGN_KEY}, by=("DenyOtherKey",)),
    Request(WRITER, PUT, SEGMENT, {f"{HEADER}-customer-algorithm": "AES256"}, by=("DenyCustomerKey",)),
    Request(WRITER, PUT, SEGMENT, {HEADER: "AES256"}, by=("DenyOtherEncryption",)),
    Request("deploy", PUT, STATE, {**OUTSIDE, HEADER: "AES256"}, by=("DenyOtherEncryption",)),
    Request(QUERY, "kms:Decrypt", "profiles", by=("key",)),  # not by way of S3
    Request(
        QUERY,
        "kms:Decrypt",
        "profiles",
        {**KEY_OF_PROFILES, "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{FOREIGN_BUCKET}"},
        by=("key",),
    ),
    Request(QUERY, "kms:GenerateDataKey", "profiles", KEY_OF_PROFILES, by=("key",)),
    Request("stranger", "kms:Decrypt", "profiles", KEY_OF_PROFILES, by=("key",)),
    Request("account-admin", "kms:Decrypt", "profiles", KEY_OF_PROFILES, by=("key",)),
    Request("account-admin", "kms:PutKeyPolicy", "profiles", by=("key",)),
    Request("deploy", "kms:Decrypt", "profiles", KEY_OF_PROFILES, by=("key",)),
    Request("deploy", "kms:CreateGrant", "profiles", by=("key",)),
    # Administrators read no profiles, wherever they are, and remove none.
    Request("account-admin", GET, BLOCK, by=("key",)),
    Request("account-admin", GET, BLOCK, OUTSIDE, by=("key", "DenyObjectsOutsideVpc")),
    Request("deploy", GET, BLOCK, by=("key",)),
    Request("deploy", GET, BLOCK, OUTSIDE, by=("key", "DenyObjectsOutsideVpc")),
    Request("deploy", DELETE, BLOCK, by=("DenyDeletionByOthers",)),
    Request("account-admin", DELETE, BLOCK, by=("DenyDeletionByOthers",)),
    Request("account-admin", "s3:PutBucketPolicy", "profiles", given=("endpoint",), by=("DenyConfigurationByOthers",)),
    Request(
        "account-admin", "s3:PutLifecycleConfiguration", "audit", given=("endpoint",), by=("DenyConfigurationByOthers",)
    ),
    Request("deploy", "s3:PutReplicationConfiguration", "profiles", OUTSIDE, by=("DenyReplication",)),
    Request("account-admin", GET, STATE, OUTSIDE, by=("key", "DenyOthersThanAdmins")),
    Request(QUERY, GET, STATE, by=("identity", "key", "endpoint", "DenyOthersThanAdmins")),
    # Audit records stay, in prod for everybody, and are written once.
    Request("gateway", PUT, RECORD, by=("DenyOverwriting",)),
    Request("deploy", PUT, RECORD, by=("key", "DenyOverwriting")),
    Request("deploy", DELETE, RECORD, by=("DenyDeletion",)),
    Request("deploy", "s3:DeleteObjectVersion", RECORD, given=("endpoint",), by=("DenyDeletion",)),
    Request("deploy", "s3:BypassGovernanceRetention", RECORD, given=("endpoint",), by=("DenyDeletion",)),
    Request("deploy", "s3:PutObjectRetention", RECORD, given=("endpoint",), by=("DenyDeletion",)),
    Request("auditor", DELETE, RECORD, given=("grant",), by=("DenyDeletion",)),
    Request("account-admin", DELETE, RECORD, by=("DenyDeletion",), stack="staging"),
    # Strangers: even where a bucket and its key were opened by mistake.
    Request("stranger", GET, BLOCK, given=("grant", "key", "endpoint"), by=("DenyForeignOrganisation",)),
    Request("anonymous", GET, BLOCK, given=("grant", "key", "endpoint"), by=("DenyForeignOrganisation",)),
    Request("stranger", PUT, RECORD, ONCE, given=("grant", "key", "endpoint"), by=("DenyForeignOrganisation",)),
    Request(
        "stranger",
        GET,
        STATE,
        OUTSIDE,
        given=("grant", "key", "DenyOthersThanAdmins"),
        by=("DenyForeignOrganisation",),
    ),
    Request("stranger", LIST, "profiles", given=("grant",), by=("endpoint", "DenyForeignOrganisation")),
    Request("auditor", GET, BLOCK, by=("grant", "key")),
    Request("auditor", PUT, RECORD, ONCE, by=("grant", "key")),
    # Nothing is carried out through the endpoint.
    Request("account-admin", PUT, f"{FOREIGN_BUCKET}/stolen", by=("endpoint",)),
    Request("stranger", PUT, f"{FOREIGN_BUCKET}/stolen", by=("endpoint",)),
    Request("account-admin", PUT, LAYER, by=("endpoint",)),
    # Roles only for their own pods, notices only from our own budgets and alarms.
    Request(PODS, "sts:AssumeRole", f"role/{QUERY}", {**POD_TAGS, "aws:SourceAccount": "000011112222"}, by=("trust",)),
    Request(
        PODS,
        "sts:AssumeRole",
        f"role/{QUERY}",
        {**POD_TAGS, "aws:RequestTag/kubernetes-namespace": "default"},
        by=("trust",),
    ),
    Request(
        PODS,
        "sts:AssumeRole",
        f"role/{QUERY}",
        {**POD_TAGS, "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-central-1:111122223333:cluster/other"},
        by=("trust",),
    ),
    Request("ec2.amazonaws.com", "sts:AssumeRole", f"role/{QUERY}", POD_TAGS, by=("trust",)),
    Request(BUDGETS, "sns:Publish", "topic", {**OF_BUDGETS, "aws:SourceAccount": "000011112222"}, by=("trust",)),
    Request(ALARMS, "sns:Publish", "topic", {**OF_AN_ALARM, "aws:SourceAccount": "000011112222"}, by=("trust",)),
    Request(
        ALARMS,
        "sns:Publish",
        "topic",
        {**OF_AN_ALARM, "aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:somebody-elses"},
        by=("trust",),
    ),
    Request(ALARMS, "kms:Decrypt", "notices", {**OF_AN_ALARM, "aws:SourceAccount": "000011112222"}, by=("key",)),
    Request(ALARMS, "kms:Decrypt", "profiles", OF_AN_ALARM, by=("key",)),
]


_world = cache(World)


@cache
def _verdicts(root: Path) -> dict[tuple[Request, tuple[str, ...]], bool]:
    """Whether each request succeeds, by request and the precautions thought away: all evaluated in one go."""
    worlds = {stack: _world(root, stack) for stack in {r.stack for r in (*ALLOWED, *REFUSED)}}
    asked = [(request, without) for request in (*ALLOWED, *REFUSED) for without in _variants(request)]
    simulations = [worlds[request.stack].simulations(request, without) for request, without in asked]
    answers = simulate([s for several in simulations for s in several])
    owners = [key for key, several in zip(asked, simulations, strict=True) for _ in several]
    refused = {key for key, answer in zip(owners, answers, strict=True) if answer["result"] != "Allowed"}
    return {key: key not in refused for key in asked}


def _variants(request: Request) -> list[tuple[str, ...]]:
    one_left = [tuple(name for name in request.by if name != left) for left in request.by]
    return list(dict.fromkeys([(), ("rights",), *one_left, request.by]))


def _name(request: Request) -> str:
    changed = ",".join(f"{key.rpartition(':')[2]}={value}" for key, value in request.context.items())
    return f"{request.stack}: {request.who} {request.action} {request.on} {changed}".strip()


@pytest.mark.parametrize("request_", ALLOWED, ids=_name)
def test_allowed(root: Path, request_: Request) -> None:
    """It gets through, and a principal without policies of its own would not."""
    verdicts = _verdicts(root)
    assert verdicts[request_, ()]
    if not request_.who.endswith(".amazonaws.com"):
        assert not verdicts[request_, ("rights",)]


@pytest.mark.parametrize("request_", REFUSED, ids=_name)
def test_refused(root: Path, request_: Request) -> None:
    """It does not get through; each precaution named refuses it alone, and nothing but these does."""
    verdicts = _verdicts(root)
    assert not verdicts[request_, ()]
    for left in request_.by:
        assert not verdicts[request_, tuple(name for name in request_.by if name != left)], f"{left} does not refuse it"
    assert verdicts[request_, request_.by], f"refused by more than {', '.join(request_.by)}"


def test_every_denying_statement_refuses_something(root: Path) -> None:
    """A statement that no row needs could be lost without anybody noticing."""
    world = _world(root, "prod")
    sids = {
        statement["Sid"]
        for bucket in ("profiles", "audit", "state")
        for statement in world.document("BucketPolicy", bucket)["Statement"]
        if statement["Effect"] == "Deny"
    }
    assert sids - {name for row in REFUSED for name in row.by} == set()
