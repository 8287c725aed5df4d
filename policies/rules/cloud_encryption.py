"""Encryption at rest: with our own keys, which turn, and which few may use."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from policies.cloud import (
    ALIAS,
    BUCKET,
    BUCKET_POLICY,
    ENCRYPTION,
    KEY,
    TOPIC,
    Cloud,
    breaks,
    bucket_arn,
    clouds,
    policy,
    turned,
)
from policies.iam import Statement, account_of, answer, like, listed, principals, statements
from policies.objects import at, items
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation

HEADER: Final = "s3:x-amz-server-side-encryption"
ROTATION_DAYS: Final = 365
DELETION_DAYS: Final = 30  # the longest that AWS waits, and the time in which a mistake can be noticed
# What a role may do with a key only if the key's policy names it.
KEY_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:PutKeyPolicy")
# Reading and writing by a key, in any of its forms.
USES: Final = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncrypt")
# Nobody needs these for the platform: a grant hands the use of the key on, past its policy.
NEVER: Final = (
    "kms:CreateGrant",
    "kms:ReplicateKey",
    "kms:Sign",
    "kms:GetParametersForImport",
    "kms:ImportKeyMaterial",
)


def _encrypted(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        keys = {str(at(alias, "spec", "name")) for alias in cloud.of(ALIAS)}
        for bucket in cloud.buckets:
            configurations = cloud.companions(ENCRYPTION, bucket)
            if not configurations:
                yield breaks(bucket, "has no BucketServerSideEncryptionConfiguration: S3's own key would be used")
            for configuration in configurations:
                yield from _by_default(cloud, configuration, keys)
            for resource in filter(cloud.readable, cloud.companions(BUCKET_POLICY, bucket)):
                yield from _uploads(cloud, resource, bucket_arn(bucket))
        for topic in cloud.of(TOPIC):
            if not _is_ours(cloud, at(topic, "spec", "kmsMasterKeyId"), keys):
                yield breaks(
                    topic, f"is not encrypted by a key of ours: {at(topic, 'spec', 'kmsMasterKeyId') or 'none'}"
                )


def _by_default(cloud: Cloud, configuration: Manifest, keys: set[str]) -> Iterator[Violation]:
    rules = items(at(configuration, "spec", "rules"))
    if len(rules) != 1:
        yield breaks(configuration, f"has {len(rules)} rules; one holds for all objects")
    for rule in rules:
        default = rule.get("applyServerSideEncryptionByDefault") or {}
        algorithm, key = default.get("sseAlgorithm"), default.get("kmsMasterKeyId")
        if algorithm != "aws:kms":
            yield breaks(configuration, f"encrypts with {algorithm or 'nothing'}; valid: aws:kms")
        elif not _is_ours(cloud, key, keys):
            yield breaks(configuration, f"encrypts with the key {key or 'of AWS'}, which is none of this environment")
        if rule.get("bucketKeyEnabled") is not True:
            yield breaks(configuration, "has no bucket key: each of millions of objects would be a call to KMS")


def _is_ours(cloud: Cloud, key: object, aliases: set[str]) -> bool:
    """Keys are named by their alias, as an ARN or plain: a key's own id is known only after apply."""
    arn = f"arn:aws:kms:{cloud.said('cloud.region')}:{cloud.account}:"
    return str(key or "").removeprefix(arn) in aliases


def _uploads(cloud: Cloud, resource: Manifest, arn: str) -> Iterator[Violation]:
    """Who uploads must not choose another encryption: it could be a key that only an attacker has."""
    foreign = "arn:aws:kms:eu-central-1:000000000000:key/00000000-0000-0000-0000-000000000000"
    chosen = {
        "S3's own key": {HEADER: "AES256"},
        "another key": {HEADER: "aws:kms", f"{HEADER}-aws-kms-key-id": foreign},
        "a key of the client's": {f"{HEADER}-customer-algorithm": "AES256"},
    }
    for what, headers in chosen.items():
        admin = next(iter(cloud.roles("adminRoleArns")), "")
        request = cloud.request("s3:PutObject", f"{arn}/blocks/1/x", headers, role=admin)
        if answer(policy(resource), request) != "deny":
            yield breaks(resource, f"lets objects in that are encrypted with {what}")


def _keys(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for key in cloud.of(KEY):
            spec = key.get("spec") or {}
            if spec.get("enableKeyRotation") is not True:
                yield breaks(key, "does not rotate (enableKeyRotation)")
            if (days := spec.get("rotationPeriodInDays") or ROTATION_DAYS) > ROTATION_DAYS:
                yield breaks(key, f"rotates every {days:g} days; at most {ROTATION_DAYS}")
            if (days := spec.get("deletionWindowInDays") or DELETION_DAYS) < DELETION_DAYS:
                yield breaks(key, f"is gone {days:g} days after a mistake; {DELETION_DAYS} is the most and the least")
            for field in ("bypassPolicyLockoutSafetyCheck", "multiRegion"):
                if spec.get(field):
                    yield breaks(key, f"sets {field}")
            if spec.get("isEnabled") is False:
                yield breaks(key, "is disabled: nothing can be read or written")
            if (usage := spec.get("keyUsage") or "ENCRYPT_DECRYPT") != "ENCRYPT_DECRYPT":
                yield breaks(key, f"is for {usage}")
            if policy(key) and cloud.readable(key):
                yield from _use(cloud, key)
        # What an alias leads to is known only after apply; that there is a key for each is known before.
        for alias in cloud.of(ALIAS)[len(cloud.of(KEY)) :]:
            yield breaks(alias, f"may lead nowhere: {len(cloud.of(ALIAS))} aliases, {len(cloud.of(KEY))} keys")


def _use(cloud: Cloud, key: Manifest) -> Iterator[Violation]:
    """Who may do what with a key; whoever administers one cannot read by it (separation of duties)."""
    text = json.dumps({"Statement": [s for s in statements(policy(key)) if not turned(s) and not _open(s)]})
    for statement in statements(text):
        actions = listed(statement.get("Action")) or ["kms:*"]  # NotAction: nearly all of them
        if statement.get("Effect") == "Allow" and (wild := [a for a in actions if "*" in a]):
            yield breaks(key, f"allows {wild[0]} in statement {statement.get('Sid', '?')}: name the actions")
        elif statement.get("Effect") == "Allow" and (never := [n for n in NEVER if any(like(a, n) for a in actions)]):
            yield breaks(key, f"allows {never[0]} in statement {statement.get('Sid', '?')}: nobody needs it")
        elif statement.get("Effect") == "Allow" and (use := _both(actions)):
            yield breaks(key, f"lets who administers the key do {use} in statement {statement.get('Sid', '?')}")
    through_s3 = {"kms:viaservice": f"s3.{cloud.said('cloud.region')}.amazonaws.com"}
    for action in KEY_USE:
        if answer(text, cloud.request(action, "*", through_s3)) == "allow":
            yield breaks(key, f"lets any role of the account do {action}: name the roles that need it")
    yield from _beside_s3(cloud, key, text)


def _open(statement: Statement) -> bool:
    """Whether it allows everybody, which rule FP021 says."""
    return statement.get("Effect") == "Allow" and any("*" in who for _, who in principals(statement))


def _both(actions: Sequence[str]) -> str:
    """What uses the key among actions by which it is administered."""
    administered = any(like(a, "kms:PutKeyPolicy") for a in actions)
    return next((a for a in actions if administered and a.startswith(USES)), "")


def _beside_s3(cloud: Cloud, key: Manifest, text: str) -> Iterator[Violation]:
    """Who may use the key of a bucket may so through S3, for that bucket's objects: stolen ciphertext stays that."""
    context = "kms:encryptioncontext:aws:s3:arn"
    elsewhere = {"kms:viaservice": f"s3.{cloud.said('cloud.region')}.amazonaws.com", context: "arn:aws:s3:::other"}
    buckets = [bucket_arn(b) for b in cloud.buckets]
    for role in sorted({w for s in statements(text) for k, w in principals(s) if k == "AWS" and ":role/" in w}):
        account = {"aws:principalaccount": account_of(role)}
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            direct = (cloud.request(action, "*", {**account, context: arn}, role=role) for arn in buckets)
            if any(answer(text, request) == "allow" for request in direct):
                yield breaks(key, f"lets {role} do {action} past S3: a condition on kms:ViaService is missing")
            if answer(text, cloud.request(action, "*", {**account, **elsewhere}, role=role)) == "allow":
                yield breaks(key, f"lets {role} do {action} for any bucket: no condition on the encryption context")


RULES: Final = (
    Rule(
        id="FP025",
        name="own-key-encryption",
        why="Objects under a key of our own can be cut off from everybody at once, and each use of the key is on "
        "record. Under a key that an uploader chose they may be readable to the uploader alone.",
        remediation="SSE-KMS by default with the environment's key (its alias) and a bucket key; deny uploads that "
        "name another encryption (components/aws/perimeter.py).",
        kinds=(BUCKET, BUCKET_POLICY, ENCRYPTION, ALIAS, TOPIC, SETTINGS),
        check=_encrypted,
        scope="stack",
        waivable=False,
    ),
    Rule(
        id="FP026",
        name="key-care",
        why="A key that does not turn, that half the account may use, or that is gone a week after a mistake is no "
        "protection but a risk.",
        remediation=f"Rotation each {ROTATION_DAYS} days or more often, {DELETION_DAYS} days before deletion, a key "
        "policy that names roles and actions (components/aws/key_policies.py).",
        kinds=(ALIAS, BUCKET, KEY, SETTINGS),
        check=_keys,
        scope="stack",
        waivable=False,
    ),
)
