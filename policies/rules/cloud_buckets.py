"""Buckets that nobody outside reaches and nothing deletes."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.cloud import (
    ALIAS,
    BUCKET,
    BUCKET_POLICY,
    ENCRYPTION,
    KEY,
    KEY_POLICY,
    LIFECYCLE,
    OBJECT_LOCK,
    OWNERSHIP,
    PUBLIC_ACCESS,
    TOPIC,
    TOPIC_POLICY,
    VERSIONING,
    Cloud,
    breaks,
    clouds,
    policy,
    turned,
)
from policies.iam import Statement, account_of, listed, principals, statements
from policies.objects import at
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import CLOUD_SERVICES

PUBLIC_FIELDS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
# What a bucket is by: it goes as the bucket does, or the bucket is another one without it.
COMPANIONS: Final = (BUCKET_POLICY, PUBLIC_ACCESS, OWNERSHIP, ENCRYPTION, LIFECYCLE, VERSIONING, OBJECT_LOCK)
OWNER: Final = "BucketOwnerEnforced"  # switches ACLs off
NAMED_ROLES: Final = ("adminRoleArns", "auditorRoleArns", "breakGlassRoleArns")


def _closed(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for bucket in cloud.buckets:
            if at(bucket, "spec", "acl"):
                yield breaks(bucket, "sets acl: it is the policy alone that lets anybody in")
            for kind in (PUBLIC_ACCESS, OWNERSHIP, BUCKET_POLICY):
                if not cloud.companions(kind, bucket):
                    yield breaks(bucket, f"has no {kind.rpartition(':')[2]}")
        yield from _access(cloud)


def _access(cloud: Cloud) -> Iterator[Violation]:
    """What the companions say."""
    for block in cloud.of(PUBLIC_ACCESS):
        for field in PUBLIC_FIELDS:
            if at(block, "spec", field) is not True:
                yield breaks(block, f"does not set {field}: the bucket could become public")
    for control in cloud.of(OWNERSHIP):
        if (found := at(control, "spec", "rule", "objectOwnership")) != OWNER:
            yield breaks(control, f"has objectOwnership {found or 'unset'}: ACLs would count; use {OWNER}")
    for topic in cloud.of(TOPIC):
        named = {str(at(p, "spec", "arn")).rpartition(":")[2] for p in cloud.of(TOPIC_POLICY)}
        if at(topic, "spec", "name") not in named:
            yield breaks(topic, "has no TopicPolicy")


def _principals(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for resource in cloud.of(BUCKET_POLICY, KEY, KEY_POLICY, TOPIC_POLICY):  # roles: FP030
            text = policy(resource)
            for statement in statements(text) if text and cloud.readable(resource) else ():
                for problem in _opened(cloud, statement, resource):
                    yield breaks(resource, f"statement {statement.get('Sid', '?')} {problem}")


def _opened(cloud: Cloud, statement: Statement, resource: Manifest) -> Iterator[str]:
    effect = statement.get("Effect")
    if effect == "Deny" or turned(statement):
        return
    if effect != "Allow":
        yield f"has Effect {effect}; valid: Allow, Deny"
    services = [w for kind, w in principals(statement) if kind == "Service"]
    if services and resource["kind"] != KEY:  # wildcards of keys: FP026
        wild = [a for a in (*listed(statement.get("Action")), *listed(statement.get("NotAction"))) if "*" in a]
        if wild or "NotAction" in statement:
            yield f"lets {services[0]} do {', '.join(wild) or 'everything but something'}: name the actions"
    if "NotPrincipal" in statement:
        yield "allows everybody but some (NotPrincipal): name who may"
    for kind, who in principals(statement):
        if "*" in who or "?" in who:
            yield f"allows everybody (principal {who}): name who may; a condition does not make it less"
        elif kind == "Service" and who not in CLOUD_SERVICES:
            yield f"allows the service {who}; valid: {', '.join(CLOUD_SERVICES)}"
        elif kind == "Service" and not _only_for(statement, cloud.account):
            yield f"lets {who} act for any account: aws:SourceAccount has to be {cloud.account} (StringEquals)"
        elif kind not in ("AWS", "Service"):
            yield f"allows the {kind} principal {who}: nothing of the platform signs in that way"
        elif kind == "AWS" and account_of(who) != cloud.account and who not in cloud.roles(*NAMED_ROLES):
            yield f"allows {who}, of another account, whom the settings do not name"


def _only_for(statement: Statement, account: str) -> bool:
    """Whether a service may act for this account alone, and be nobody's confused deputy."""
    keys = {k.lower(): v for k, v in ((statement.get("Condition") or {}).get("StringEquals") or {}).items()}
    return listed(keys.get("aws:sourceaccount")) == [account]


def _kept(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        if at(manifest, "options", "protect") is not True:
            yield breaks(manifest, "is not protected: `pulumi destroy` would take it, and what depends on it, away")
        if at(manifest, "spec", "forceDestroy"):
            yield breaks(manifest, "has forceDestroy: it would be deleted with all that is in it")


def _locked(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for bucket in cloud.buckets:
            audit = cloud.purpose(str(at(bucket, "spec", "bucket"))) == "audit"
            locks = cloud.companions(OBJECT_LOCK, bucket)
            if audit and at(bucket, "spec", "objectLockEnabled") is not True:
                yield breaks(bucket, "holds audit records without Object Lock (objectLockEnabled)")
            if audit and not locks:
                yield breaks(bucket, "holds audit records without a default lock (BucketObjectLockConfiguration)")
            if audit and not any(_versioned(v) for v in cloud.companions(VERSIONING, bucket)):
                yield breaks(bucket, "holds audit records without versions: Object Lock needs them")
            if not audit and (locks or at(bucket, "spec", "objectLockEnabled")):
                yield breaks(bucket, "has Object Lock: profiles could not be deleted when their retention ends")
            if audit:
                yield from (v for lock in locks for v in _lock(cloud, lock))


def _versioned(versioning: Manifest) -> bool:
    return at(versioning, "spec", "versioningConfiguration", "status") == "Enabled"


def _lock(cloud: Cloud, lock: Manifest) -> Iterator[Violation]:
    default = at(lock, "spec", "rule", "defaultRetention") or {}
    mode, days = default.get("mode"), (default.get("days") or 0) + 365 * (default.get("years") or 0)
    prod = cloud.environment == "prod"
    wanted = "COMPLIANCE" if prod else "GOVERNANCE"
    if mode != wanted:
        why = "somebody could delete them" if prod else "the environment could never be given up"
        yield breaks(lock, f"locks records of {cloud.environment} in mode {mode}, not {wanted}: {why}")
    if days < (least := 365 if prod else 1):
        yield breaks(lock, f"locks records for {days:g} days; at least {least}")


_WITH_POLICY: Final = (BUCKET_POLICY, KEY, KEY_POLICY, TOPIC_POLICY)
RULES: Final = (
    Rule(
        id="FP020",
        name="bucket-not-public",
        why="A bucket of profiles holds the inner life of every service; one setting makes it readable by the world.",
        remediation="Make buckets with `PrivateBucket` of components/aws/bucket.py: all four settings of its "
        "BucketPublicAccessBlock true, ownership BucketOwnerEnforced, a policy, no ACL.",
        kinds=(BUCKET, PUBLIC_ACCESS, OWNERSHIP, BUCKET_POLICY, TOPIC, TOPIC_POLICY, SETTINGS),
        check=_closed,
        scope="stack",
        waivable=False,
    ),
    Rule(
        id="FP021",
        name="named-principals",
        why="An Allow for everybody is public whatever its conditions say, and a service that may act for any account "
        "acts for an attacker's as well.",
        remediation="Name roles of the own account, or of others as the settings list them (cloud.adminRoleArns, "
        "cloud.auditorRoleArns, cloud.breakGlassRoleArns); tie services to aws:SourceAccount.",
        kinds=(*_WITH_POLICY, SETTINGS),
        check=_principals,
        scope="stack",
        waivable=False,
    ),
    Rule(
        id="FP028",
        name="object-lock",
        why="Audit records that somebody can delete prove nothing; profiles that nobody can delete break the promise of"
        " 90 days.",
        remediation="Object Lock on the audit bucket alone: mode COMPLIANCE and at least 365 days in prod, GOVERNANCE "
        "elsewhere, so that an environment can be given up.",
        kinds=(BUCKET, OBJECT_LOCK, VERSIONING, SETTINGS),
        check=_locked,
        scope="stack",
        waivable=False,
    ),
    Rule(
        id="FP029",
        name="kept-on-destroy",
        why="A bucket or a key that goes with its stack takes every profile and every audit record along.",
        remediation="Give buckets, their companions and keys `protect` and `retain_on_delete`; never force_destroy.",
        kinds=(BUCKET, *COMPANIONS, KEY, ALIAS),
        check=_kept,
    ),
)
