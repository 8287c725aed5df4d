"""What the environments of the project do not have: a break-glass role, an endpoint that is there already.

Documents are built from changed settings and evaluated like those of test_aws_requests.py.
"""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from iam_simulator import simulate
from iam_world import Request, World

from components.aws import bucket_policies, key_policies, lifecycle
from components.aws.documents import document
from components.aws.endpoint import policy as endpoint_policy
from components.aws.site import AUDIT, PROFILES, Site
from flameplane.catalog import load_settings
from schemas.settings.cloud import Cloud

ROLE = "arn:aws:iam::111122223333:role/account-admin"
BLOCK = "profiles/blocks/1/payments/01J/block.bin"
GET, PUT = "s3:GetObject", "s3:PutObject"
OUTSIDE = {"aws:SourceVpc": None}
ENDPOINT = "vpce-0a1b2c3d4e5f60738"


def _cloud(root: Path) -> Cloud:
    settings = load_settings(root, "prod").settings
    assert settings
    assert settings.cloud
    return settings.cloud


def _site(cloud: Cloud, **changes: Any) -> Site:
    return Site("prod", "acme", cloud.model_copy(update=changes), "acme-flameplane-profiles-prod")


def _allowed(world: World, site: Site, request: Request) -> bool:
    """With the policies of ``site`` in place of the recorded ones."""
    documents = {
        ("BucketPolicy", "profiles"): bucket_policies.profiles(site, []),
        ("Key", "profiles-key"): key_policies.of_bucket(site, PROFILES, site.cloud.break_glass_role_arns, []),
        ("VpcEndpoint", "s3"): endpoint_policy(site),
    }
    world.replace({key: {"policy": text} for key, text in documents.items()})
    return all(answer["result"] == "Allowed" for answer in simulate(world.simulations(request)))


@pytest.fixture(scope="module")
def world(root: Path) -> World:
    return World(root, "prod")


def test_break_glass(root: Path, world: World) -> None:
    """It reads from anywhere, over TLS; it writes nothing, and without the setting it reads nothing."""
    site = _site(_cloud(root), break_glass_role_arns=[ROLE])
    reading = Request("account-admin", GET, BLOCK, OUTSIDE)
    assert _allowed(world, site, reading)
    assert not _allowed(world, site, Request("account-admin", GET, BLOCK, {**OUTSIDE, "aws:SecureTransport": "false"}))
    assert not _allowed(world, site, Request("account-admin", PUT, BLOCK, OUTSIDE))
    assert not _allowed(world, site, Request("account-admin", "s3:DeleteObject", BLOCK, OUTSIDE))
    assert not _allowed(world, _site(_cloud(root)), reading)


def test_existing_endpoint(root: Path, world: World) -> None:
    """It is named by its id: another endpoint of the same VPC is not enough."""
    cloud = _cloud(root)
    there = cloud.vpc.s3_endpoint.model_copy(update={"kind": "existing", "id": ENDPOINT})
    site = _site(cloud, vpc=cloud.vpc.model_copy(update={"s3_endpoint": there}), break_glass_role_arns=[])
    text = json.loads(bucket_policies.profiles(site, []))
    (objects,) = [s for s in text["Statement"] if s["Sid"] == "DenyObjectsOutsideVpc"]
    assert objects["Condition"]["StringNotEqualsIfExists"] == {"aws:SourceVpce": ENDPOINT}
    reading = "pyroscope-query-backend"
    without_key = {"given": ("key",)}
    assert _allowed(world, site, Request(reading, GET, BLOCK, {"aws:SourceVpce": ENDPOINT}, **without_key))  # type: ignore[arg-type]
    other = {"aws:SourceVpce": "vpce-99999999999999999"}
    assert not _allowed(world, site, Request(reading, GET, BLOCK, other, **without_key))  # type: ignore[arg-type]


def test_names(root: Path) -> None:
    """A name that S3 would refuse is refused here, with the setting that helps; a given one is used."""
    cloud = _cloud(root)
    given = _site(cloud, buckets=cloud.buckets.model_copy(update={"audit": "acme-audit"}))
    assert given.bucket(AUDIT) == "acme-audit"
    long = Site("staging", "o" * 40, cloud, "p")
    with pytest.raises(pulumi.RunError, match=r"too long for a bucket.*flameplane:cloud\.buckets\.audit"):
        long.bucket(AUDIT)


def test_lifecycle_of_audit_records_follows_the_lock() -> None:
    """No earlier than the lock ends, since S3 would try in vain each day."""
    (records, _) = lifecycle.audit(400)
    assert records["expiration"] == {"days": 410}  # type: ignore[typeddict-item]


def test_documents_are_stable() -> None:
    """Equal statements are equal texts, whatever order their keys were written in."""
    one = document({"Sid": "A", "Effect": "Deny", "Action": "s3:*"})
    assert one == document({"Action": "s3:*", "Effect": "Deny", "Sid": "A"})
