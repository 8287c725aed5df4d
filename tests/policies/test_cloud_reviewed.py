"""The rules that compare the cloud with its reviewed tables: silent on what settings allow, blind to nothing.

It cannot prove what AWS shows of a resource after apply; the inputs that are added here are those of the provider's
schema.
"""

import copy
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus import ROOT, declared, over_the_wire
from variants import Project

from flameplane.plan import record
from policies import resources
from policies.rule import Manifest, Rule, run
from policies.rules import RULES
from policies.rules.cloud_table import KINDS

CLOUD = tuple(rule for rule in RULES if set(rule.kinds) & set(KINDS))
FINDINGS = ("FP046", "FP047")


def found(manifests: list[Manifest], rules: tuple[Rule, ...] = CLOUD) -> list[tuple[str, str]]:
    return [(rule.id, str(violation)) for rule, violation in run(rules, manifests)]


def changed(kind: str, name: str, change: Callable[[Any], None]) -> list[Manifest]:
    """Prod with one resource changed."""
    manifests = [dict(m) for m in declared("prod")]
    (one,) = [m for m in manifests if m["kind"].endswith(f":{kind}") and m["metadata"]["name"] == name]
    manifests[manifests.index(one)] = fresh = copy.deepcopy(one)
    change(fresh)
    return manifests


def _existing(cloud: Any) -> None:
    cloud["vpc"]["s3Endpoint"] = {"kind": "existing", "id": "vpce-0a1b2c3d4e5f60738"}


def _gateway(cloud: Any) -> None:
    cloud["vpc"]["s3Endpoint"] = {
        "kind": "gateway",
        "routeTableIds": ["rtb-0a1b2c3d4e5f60718", "rtb-0a1b2c3d4e5f60719"],
    }
    del cloud["budget"]["payerRoleArn"]
    cloud["budget"]["emails"] = ["one@example.com"]
    cloud["budget"]["monthlyUsd"] = 99.5


def _emergency(cloud: Any) -> None:
    cloud["breakGlassRoleArns"] = ["arn:aws:iam::111122223333:role/incident"]
    cloud["adminRoleArns"] += ["arn:aws:iam::111122223333:role/second"]
    cloud["audit"]["days"] = 730
    cloud["buckets"] = {"audit": "records-of-acme", "state": "state-of-acme"}
    del cloud["auditorRoleArns"]
    del cloud["tags"]


@pytest.mark.parametrize("change", [_existing, _gateway, _emergency])
def test_silent_on_what_settings_allow(change: Callable[[Any], None], tmp_path: Path) -> None:
    Project(ROOT, tmp_path, locked=True)
    (tmp_path / "stacks").unlink()
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    file = tmp_path / "stacks/Pulumi.prod.yaml"
    stack = yaml.safe_load(file.read_text())
    change(stack["config"]["flameplane:cloud"])
    file.write_text(yaml.safe_dump(stack))
    recording = record(tmp_path, "prod")
    every = [
        m
        for r in recording.resources
        if r.custom and (m := resources.manifest(r.type, r.name, r.inputs, protect=r.protect)) is not None
    ]
    settings = resources.settings("prod", recording.config)
    assert settings
    assert any(m["kind"].startswith("aws:") for m in every)
    assert found([*every, settings], tuple(r for r in CLOUD if any(k.startswith("aws:") for k in r.kinds))) == []


# What AWS and the provider fill in, as a stack rule sees it after apply; None stands for what is not known before.
SHOWN: Mapping[str, Mapping[str, Any]] = {
    "Bucket": {
        "arn": "arn:aws:s3:::x",
        "policy": '{"Version": "2012-10-17"}',
        "serverSideEncryptionConfiguration": {"rule": {"bucketKeyEnabled": True}},
        "versioning": {"enabled": True},
        "lifecycleRules": [{"enabled": True, "id": "x"}],
        "grants": [{"id": "owner", "permissions": ["FULL_CONTROL"], "type": "CanonicalUser"}],
        "requestPayer": "BucketOwner",
        "tagsAll": {"flameplane:environment": "prod"},
        "region": "eu-central-1",
    },
    "BucketLifecycleConfiguration": {"transitionDefaultMinimumObjectSize": "all_storage_classes_128K"},
    "Role": {"arn": "arn:aws:iam::1:role/x", "path": "/", "inlinePolicies": [{"name": "x", "policy": "{}"}]},
    "Key": {"keyId": "0a1b2c3d-0000-4000-8000-00000000000a", "multiRegion": False, "isEnabled": True},
    "VpcEndpoint": {"dnsOptions": {"privateDnsOnlyForInboundResolverEndpoint": False, "dnsRecordIpType": "ipv4"}},
    "BucketObjectLockConfiguration": {"objectLockEnabled": "Enabled"},
}


def test_silent_on_what_the_cloud_shows_after_apply() -> None:
    manifests = []
    for manifest in declared("prod"):
        kind = manifest["kind"].rpartition(":")[2]
        more = SHOWN.get(kind, {}) if manifest["kind"].startswith("aws:") else {}
        manifests.append({**manifest, "spec": {**manifest["spec"], **more}} if more else dict(manifest))
    stack = tuple(rule for rule in CLOUD if rule.scope == "stack")
    assert found(manifests, stack) == []
    assert found(over_the_wire(manifests), stack) == []


def test_what_is_not_known_yet_is_not_read() -> None:
    """In a first preview, what the cloud fills in is unknown; reading it would end the rule."""

    def unknown(bucket: Any) -> None:
        bucket["spec"]["arn"] = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

    stack = tuple(rule for rule in CLOUD if rule.scope == "stack")
    assert found(over_the_wire(changed("Bucket", "profiles", unknown)), stack) == []


def test_a_second_mistake_is_not_hidden_by_the_first() -> None:
    """Nor by a waiver for the first: each difference is judged as if it stood alone."""

    def twice(policy: Any) -> None:
        text = policy["spec"]["policy"]
        text = text.replace('"aws:SecureTransport": "false"', '"aws:SecureTransport": "true"')  # FP022
        policy["spec"]["policy"] = text.replace("s3:ReplicateObject", "s3:GetObjectTagging")

    results = found(changed("BucketPolicy", "profiles", twice))
    assert {rule for rule, _ in results} == {"FP022", "FP046"}
    (message,) = [message for rule, message in results if rule == "FP046"]
    assert "DenyReplication" in message
    assert "DenyPlainTransport" not in message


def test_names_of_the_providers_own_are_no_inputs() -> None:
    def defaults(bucket: Any) -> None:
        bucket["spec"]["__defaults"] = ["forceDestroy"]

    assert found(changed("Bucket", "profiles", defaults)) == []
