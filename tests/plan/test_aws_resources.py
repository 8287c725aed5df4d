"""What is declared in the cloud account of each environment, as it is sent to the provider.

Proves names, protection, lifecycle, locks and what roles are for. There is no provider: AWS itself was not asked.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from components.pyroscope_identities import storage_accounts
from flameplane.catalog import load, load_settings
from flameplane.plan import UNKNOWN, Recording, Resource, cloud_kind, record
from flameplane.plan.values import walk
from schemas.settings import Settings

STACKS = ("dev", "staging", "prod")
NEVER_EXPIRED = (
    "debug-info/",
    "adaptive_placement/",
    "tenant_settings.json",
    "symbolizer/",
    "pyroscope_cluster_seed.json",
)


@cache
def _recording(root: Path, stack: str) -> Recording:
    return record(root, stack)


@cache
def _settings(root: Path, stack: str) -> Settings:
    settings = load_settings(root, stack).settings
    assert settings
    return settings


def _cloud(root: Path, stack: str) -> list[Resource]:
    return [r for r in _recording(root, stack).resources if cloud_kind(r)]


def _of(root: Path, stack: str, kind: str) -> dict[str, Resource]:
    return {r.name: r for r in _cloud(root, stack) if cloud_kind(r) == kind}


def test_local_has_none(root: Path) -> None:
    assert _cloud(root, "local") == []
    assert not [r for r in _recording(root, "local").resources if r.type == "pulumi:providers:aws"]


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_named_account(root: Path, stack: str) -> None:
    """Every resource has the explicit provider, which refuses other accounts and takes nothing on trust."""
    recording, cloud = _recording(root, stack), _settings(root, stack).cloud
    assert cloud
    for resource in _cloud(root, stack):
        provider = recording.provider_of(resource)
        assert provider
        payer = provider.name == "aws-payer"
        assert payer == (cloud_kind(resource) == "costexplorer/CostAllocationTag")
        account = (cloud.budget.payer_role_arn or "").split(":")[4] if payer else cloud.account_id
        assert json.loads(provider.inputs["allowedAccountIds"]) == [account]
        skipped = [v for k, v in provider.inputs.items() if k.startswith("skip") and not payer]
        assert set(skipped) <= {"false"}
    tags = json.loads(
        recording.by_urn[next(r.urn for r in recording.resources if r.name == "aws")].inputs["defaultTags"]
    )
    assert tags["tags"] == {**cloud.tags, "flameplane:environment": stack}


@pytest.mark.parametrize("stack", STACKS)
def test_known_before_apply(root: Path, stack: str) -> None:
    """Only the id of a new key is not, and nothing but its alias needs it."""
    unknown = {(cloud_kind(r), path) for r in _cloud(root, stack) for path, v in walk(r.inputs) if v is UNKNOWN}
    assert unknown == {("kms/Alias", "targetKeyId")}


@pytest.mark.parametrize("stack", STACKS)
def test_buckets_and_keys_outlive_the_stack(root: Path, stack: str) -> None:
    """With all that protects them: a bucket left without its policy would be worse than none."""
    kept = [r for r in _cloud(root, stack) if (cloud_kind(r) or "").startswith(("s3/", "kms/"))]
    assert len(kept) == 3 * 6 + 2 + 1 + 4 * 2  # six per bucket, two with versions, one lock, four keys with an alias
    assert all(r.protect and r.retain_on_delete for r in kept)
    assert not any(b.inputs["forceDestroy"] for b in _of(root, stack, "s3/Bucket").values())


@pytest.mark.parametrize("stack", STACKS)
def test_buckets_are_private_and_encrypted(root: Path, stack: str) -> None:
    settings = _settings(root, stack)
    assert settings.cloud
    buckets = _of(root, stack, "s3/Bucket")
    names = {purpose: bucket.inputs["bucket"] for purpose, bucket in buckets.items()}
    assert names == {p: f"acme-flameplane-{p}-{stack}" for p in ("profiles", "audit", "state")}
    assert names["profiles"] == settings.backend.object_storage.bucket
    for purpose, name in names.items():
        public = _of(root, stack, "s3/BucketPublicAccessBlock")[purpose].inputs
        assert [public.pop("bucket"), *public.values()] == [name, True, True, True, True]
        owner = _of(root, stack, "s3/BucketOwnershipControls")[purpose].inputs
        assert owner == {"bucket": name, "rule": {"objectOwnership": "BucketOwnerEnforced"}}
        (rule,) = _of(root, stack, "s3/BucketServerSideEncryptionConfiguration")[purpose].inputs["rules"]
        alias = f"arn:aws:kms:{settings.cloud.region}:{settings.cloud.account_id}:alias/flameplane-{purpose}-{stack}"
        assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": alias}
        assert rule["bucketKeyEnabled"] is True
        assert rule["blockedEncryptionTypes"] == ["SSE-C"]
    assert set(_of(root, stack, "s3/BucketVersioning")) == {"audit", "state"}
    assert all(k.inputs["enableKeyRotation"] for k in _of(root, stack, "kms/Key").values())
    assert not any(k.inputs["bypassPolicyLockoutSafetyCheck"] for k in _of(root, stack, "kms/Key").values())


@pytest.mark.parametrize("stack", STACKS)
def test_lifecycle_of_profiles(root: Path, stack: str) -> None:
    """As Pyroscope's bucket layout asks: nothing goes that the index still points at, or that is not made anew."""
    catalog = load(root).catalog
    assert catalog
    longest = max(team.spec.retention.downsampled_days for team in catalog.teams)
    rules = {r["id"]: r for r in _of(root, stack, "s3/BucketLifecycleConfiguration")["profiles"].inputs["rules"]}
    assert all(rule["status"] == "Enabled" for rule in rules.values())
    days = {r["filter"]["prefix"]: r["expiration"]["days"] for r in rules.values() if "expiration" in r}
    assert days == {
        "blocks/": min(longest + 10, 87),
        "segments/": 8,
        "dlq/": 30,
        "query-diagnostics/": 7,
        "async-queries/": 7,
    }
    (colder,) = [r for r in rules.values() if "transitions" in r]
    assert colder["filter"] == {"and": {"prefix": "blocks/", "objectSizeGreaterThan": 131072}}
    assert colder["transitions"] == [{"days": 35, "storageClass": "STANDARD_IA"}]
    assert [r["abortIncompleteMultipartUpload"] for r in rules.values() if "abortIncompleteMultipartUpload" in r] == [
        {"daysAfterInitiation": 1}
    ]
    removing = [r for r in rules.values() if {"expiration", "noncurrentVersionExpiration"} & r.keys()]
    assert not [r for r in removing for key in NEVER_EXPIRED if key.startswith(r["filter"]["prefix"])]


@pytest.mark.parametrize(("stack", "mode"), [("dev", "GOVERNANCE"), ("staging", "GOVERNANCE"), ("prod", "COMPLIANCE")])
def test_lock_of_audit_records(root: Path, stack: str, mode: str) -> None:
    """Only there; no record expires before its lock ends."""
    (lock,) = _of(root, stack, "s3/BucketObjectLockConfiguration").values()
    retention = lock.inputs["rule"]["defaultRetention"]
    assert (lock.name, retention["mode"]) == ("audit", mode)
    assert retention["days"] >= (365 if stack == "prod" else 1)
    locked = {name for name, b in _of(root, stack, "s3/Bucket").items() if b.inputs["objectLockEnabled"]}
    assert locked == {"audit"}
    rules = _of(root, stack, "s3/BucketLifecycleConfiguration")["audit"].inputs["rules"]
    assert all(r["expiration"]["days"] > retention["days"] for r in rules if "expiration" in r)


@pytest.mark.parametrize("stack", STACKS)
def test_one_role_per_account_that_needs_one(root: Path, stack: str) -> None:
    """Pyroscope's parts and the gateway: their service accounts exist, and keys wait for their roles."""
    settings, recording = _settings(root, stack), _recording(root, stack)
    wanted = {("flameplane-backend", name) for name in storage_accounts(settings.backend.architecture)}
    wanted |= {("flameplane-access", "gateway")}
    associations = _of(root, stack, "eks/PodIdentityAssociation").values()
    assert {(a.inputs["namespace"], a.inputs["serviceAccount"]) for a in associations} == wanted
    declared = {
        (r.inputs["metadata"]["namespace"], r.inputs["metadata"]["name"])
        for r in recording.resources
        if r.type == "kubernetes:core/v1:ServiceAccount"
    }
    assert wanted <= declared
    roles = _of(root, stack, "iam/Role")
    assert {r.name for r in roles.values()} == {name for _, name in wanted}
    assert all(len(r.inputs["name"]) <= 64 for r in roles.values())
    urns = {_role_arn(role, settings): role.urn for role in roles.values()}
    for purpose in ("profiles", "audit"):
        key = _of(root, stack, "kms/Key")[f"{purpose}-key"]
        used = {arn for s in json.loads(key.inputs["policy"])["Statement"] for arn in _roles(s)} & urns.keys()
        assert used
        assert {urns[arn] for arn in used} <= set(key.dependencies)
    pods = [r for r in recording.resources if r.type.endswith((":Deployment", ":StatefulSet"))]
    ours = [r for r in pods if (r.inputs["metadata"]["namespace"], _account(r)) in wanted]
    assert len(ours) >= len(wanted) - 1  # the gateway has none while its image is open
    assert all({a.urn for a in associations} <= set(r.dependencies) for r in ours)


def _account(workload: Resource) -> str:
    return str(workload.inputs["spec"]["template"]["spec"].get("serviceAccountName"))


def _roles(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal")
    arns = principal.get("AWS", []) if isinstance(principal, dict) else []
    return [arns] if isinstance(arns, str) else list(arns)


def _role_arn(role: Resource, settings: Settings) -> str:
    assert settings.cloud
    return f"arn:aws:iam::{settings.cloud.account_id}:role/{role.inputs['name']}"


@pytest.mark.parametrize("stack", STACKS)
def test_budget(root: Path, stack: str) -> None:
    """Notices at 80 % and 100 % of what bears the environment's tag, to everybody listed."""
    cloud = _settings(root, stack).cloud
    assert cloud
    (budget,) = _of(root, stack, "budgets/Budget").values()
    assert budget.inputs["costFilters"] == [{"name": "TagKeyValue", "values": [f"user:flameplane:environment${stack}"]}]
    assert float(budget.inputs["limitAmount"]) == cloud.budget.monthly_usd
    notices = budget.inputs["notifications"]
    assert [(n["threshold"], n["thresholdType"]) for n in notices] == [(80, "PERCENTAGE"), (100, "PERCENTAGE")]
    (topic,) = _of(root, stack, "sns/Topic").values()
    arn = f"arn:aws:sns:{cloud.region}:{cloud.account_id}:{topic.inputs['name']}"
    assert [n["subscriberSnsTopicArns"] for n in notices] == [[arn], [arn]]
    subscriptions = _of(root, stack, "sns/TopicSubscription").values()
    assert {s.inputs["endpoint"] for s in subscriptions} == set(cloud.budget.emails)
    assert topic.inputs["kmsMasterKeyId"] == f"alias/flameplane-notices-{stack}"


def test_tags_are_activated_once(root: Path) -> None:
    """Tag activation is the organisation's: one environment does it, and keeps it."""
    tags = {stack: _of(root, stack, "costexplorer/CostAllocationTag") for stack in STACKS}
    assert set(tags["prod"]) == {"cost-center", "flameplane:component", "flameplane:environment", "owner"}
    assert tags["dev"] == tags["staging"] == {}
    assert all(t.retain_on_delete for t in tags["prod"].values())
