"""What a comment must not show: credentials, accounts, buckets, addresses; all of them made up here."""

from pathlib import Path

import pytest

from flameplane.catalog import load_settings
from flameplane.plan.recording import Recording, Resource
from flameplane.review.redact import Redactor

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJlLW9mLWphbmU"
FAKES = {
    "access key": "AKIAIOSFODNN7EXAMPLE",
    "secret key": "wJalrXUtnFEMI7K7MDENGbPxRfiCY2EXAMPLE9KEYZ1",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "fine-grained token": "github_pat_" + "11ABCDE" * 6,
    "GitLab token": "glpat-" + "x1y2z3" * 4,
    "chat token": "xoxb-123456789012-abcdefGHIJKL",
    "Pulumi token": "pul-" + "0f1e2d3c4b5a" * 3,
    "identity token": JWT,
    "header": f"Authorization: Bearer {JWT}",
    "password": 'password: "hunter2-hunter2"',
    "in a URL": "https://jane:hunter2hunter2@db.example.com/x",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "cut key": "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA",
    "account": "111122223333",
    "ARN": "arn:aws:iam::111122223333:role/flameplane-gateway",
    "bucket of ours": "acme-flameplane-profiles-prod",
    "VPC": "vpc-0a1b2c3d4e5f60718",
    "organisation": "o-a1b2c3d4e5",
    "e-mail": "oncall@example.com",
}
# What reviewers need and what looks a little like the above.
KEPT = (
    "sampleRateHz 19 -> 99",
    "services/payments/checkout/service.yaml:18",
    "ConfigMap flameplane-backend/pyroscope-overrides",
    'data["overrides.yaml"].overrides.catalog-longterm.retention_period 1440h -> 2040h',
    "commit 3d3c42e5aac5ba805825da76410c181273ba90b1",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "s3/BucketServerSideEncryptionConfiguration 3",
    "MutatingAdmissionPolicyBinding flameplane-inject-anchor",
    "container agent gets capability SYS_ADMIN",
    "`@jane`, approved by `@acme/security`",
    "38.53 (+0.05) of 4000",
)


@pytest.fixture(scope="module")
def redactor(root: Path) -> Redactor:
    """Of environment prod, whose program made one bucket with a name of its own."""
    bucket = Resource("urn", "aws:s3/bucket:Bucket", "profiles", True, {"bucket": "somebody-elses-name-7"})
    recording = Recording("flameplane", "prod", "organization", {}, (bucket,))
    return Redactor((load_settings(root, "prod").settings, None), (recording, None))


@pytest.mark.parametrize("what", FAKES)
def test_taken_out(what: str, redactor: Redactor) -> None:
    fake = FAKES[what]
    secret = fake.removeprefix("Authorization: Bearer ").removeprefix("password: ").strip('"')
    text = redactor.text(f"before {fake} after")
    for part in (secret, *secret.split("\n")[1:2], *(("hunter2",) if "hunter2" in secret else ())):
        assert part not in text
    assert text.startswith("before ")
    assert "‹" in text


@pytest.mark.parametrize("text", KEPT)
def test_kept(text: str, redactor: Redactor) -> None:
    assert redactor.text(text) == text


def test_settings_stand_for_their_values(root: Path, redactor: Redactor) -> None:
    """Every text of the settings that is not on the list of harmless ones, also inside another text."""
    settings = load_settings(root, "prod").settings
    assert settings
    storage = settings.backend.object_storage
    text = redactor.text(
        f"s3://{storage.bucket}/blocks in {settings.cluster.api_server}, {settings.images.registry}/agent"
    )
    assert storage.bucket not in text
    assert settings.cluster.api_server not in text
    assert "‹images.registry›/agent" in text
    assert redactor.text("somebody-elses-name-7") == "‹profiles bucket›"
    assert redactor.text(f"environment prod, {settings.cluster.kubernetes_version}") == "environment prod, 1.36"


def test_constants_of_the_program_are_no_settings(root: Path) -> None:
    """A setting may have the value of a constant; that a sentence names the constant does not make it the setting."""
    settings = load_settings(root, "local").settings
    assert settings and settings.correlation.grafana_namespace == "flameplane-system"
    text = "container job of CronJob/flameplane-cost-report in flameplane-system cannot start yet"
    assert Redactor((settings,), ()).text(text) == text


def test_values_of_fields() -> None:
    """Numbers, switches and sizes may be shown; texts may not, nor numbers that could be an account."""
    shown = [v for v in (1, 0.5, True, None, "20Gi", "500m", "30s", "true") if Redactor.may_show(v)]
    assert len(shown) == 8
    hidden = ("secret", "10.0.0.0/8", "111122223333", 111122223333, "x" * 40, ["a"], {"a": 1})
    assert not any(Redactor.may_show(v) for v in hidden)
