"""Objects against the SDK's own types. Proves that slips in dict arguments are found; the API server judges it all."""

from pathlib import Path
from typing import Any

import pytest

from flameplane.plan import UNKNOWN, Recording, Resource, Secret, check_fields

GOOD: dict[str, dict[str, Any]] = {
    "kubernetes:apps/v1:Deployment": {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"a": "b"}, "uid": UNKNOWN},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "hostNetwork": False,
                    "containers": [
                        {
                            "name": "c",
                            "image": "i",
                            "ports": [{"containerPort": 80}],
                            "env": [{"name": "K", "value": Secret("v")}],
                            "resources": {"limits": {"cpu": "1"}},
                            "livenessProbe": {"httpGet": {"port": "http", "path": "/"}},
                        }
                    ],
                },
            },
        },
    },
    "kubernetes:flameplane.dev/v1:Injection": {
        "apiVersion": "flameplane.dev/v1",
        "kind": "Injection",
        "metadata": {"name": "i"},
        "spec": {"anything": [1, {"goes": None}]},
    },
    "kubernetes:rbac.authorization.k8s.io/v1:Role": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    },
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": {
        "bucket": "b",
        "rule": {"defaultRetention": {"mode": "COMPLIANCE", "days": 365}},
    },
    "aws:kms/alias:Alias": {"name": "alias/a", "targetKeyId": UNKNOWN},
    "elsewhere:module/thing:Thing": {"anything": "goes"},
}
DEPLOYMENT, INJECTION, ROLE, LOCK, ALIAS, _ = GOOD
CONTAINER = ("spec", "template", "spec", "containers", 0)
SLIPS: dict[str, tuple[str, tuple[str | int, ...], Any, str, str]] = {
    "top level": (DEPLOYMENT, ("sepc",), {}, "PLN010", "Deployment/d: sepc: there is no such field"),
    "deep": (
        DEPLOYMENT,
        (*CONTAINER, "imagePulPolicy"),
        "Never",
        "PLN010",
        "containers[0].imagePulPolicy: there is no",
    ),
    "snake case": (
        DEPLOYMENT,
        (*CONTAINER, "read_only"),
        True,
        "PLN010",
        "containers[0].read_only: there is no such field",
    ),
    "label": (DEPLOYMENT, ("metadata", "labels", "a"), True, "PLN012", "metadata.labels.a: text is wanted, not True"),
    "number as text": (
        DEPLOYMENT,
        ("spec", "replicas"),
        "2",
        "PLN012",
        "spec.replicas: a whole number is wanted, not '2'",
    ),
    "truth": (
        DEPLOYMENT,
        ("spec", "template", "spec", "hostNetwork"),
        "no",
        "PLN012",
        "true or false is wanted, not 'no'",
    ),
    "list": (DEPLOYMENT, (*CONTAINER, "args"), "--x", "PLN012", "containers[0].args: a list is wanted, not '--x'"),
    "map": (
        DEPLOYMENT,
        (*CONTAINER, "resources"),
        [],
        "PLN012",
        "containers[0].resources: a map is wanted, not a list",
    ),
    "missing": (
        DEPLOYMENT,
        (*CONTAINER, "name"),
        None,
        "PLN011",
        "spec.template.spec.containers[0].name: the field is req",
    ),
    "custom resource": (
        INJECTION,
        ("metadata", "lables"),
        {},
        "PLN010",
        "Injection/i: metadata.lables: there is no such",
    ),
    "cloud, deep": (
        LOCK,
        ("rule", "defaultRetention", "day"),
        1,
        "PLN010",
        "s3/BucketObjectLockConfiguration 'x': rule.defaultRetention.day: there is no such field",
    ),
    "cloud, snake case": (ALIAS, ("target_key_id",), "k", "PLN010", "target_key_id: there is no such field"),
    "cloud, type": (LOCK, ("rule", "defaultRetention", "days"), "365", "PLN012", "days: a whole number is wanted"),
    "cloud, missing": (LOCK, ("rule", "defaultRetention"), None, "PLN011", "rule.defaultRetention: the field is req"),
    "other group": (ROLE, ("rules", 0, "verb"), ["get"], "PLN010", "Role/r: rules[0].verb: there is no such field"),
}


def _recording(token: str, inputs: dict[str, Any]) -> Recording:
    resource = Resource(f"urn:pulumi:s::p::{token}::x", token, "x", custom=True, inputs=inputs)
    return Recording("p", "s", "organization", {}, (resource,))


@pytest.mark.parametrize("token", GOOD)
def test_good(token: str, tmp_path: Path) -> None:
    """No false alarm, also with unknown and secret values."""
    assert check_fields(_recording(token, GOOD[token]), tmp_path) == []


@pytest.mark.parametrize("case", SLIPS)
def test_slips(case: str, tmp_path: Path) -> None:
    """Each slip is one finding that names object and path."""
    token, path, value, id_, message = SLIPS[case]
    findings = check_fields(_recording(token, _changed(GOOD[token], path, value)), tmp_path)
    assert [(f.id, f.severity) for f in findings] == [(id_, "error")]
    assert message in findings[0].message


def test_did_you_mean(tmp_path: Path) -> None:
    """A near miss is answered with the name, anything else with the list."""
    near, far = (
        check_fields(_recording(ROLE, _changed(GOOD[ROLE], ("rules", 0, name), [])), tmp_path)[0]
        for name in ("verb", "wanted")
    )
    assert (near.fix, near.valid) == ("Did you mean verbs?", ())
    assert (far.fix, far.valid) == ("", ("apiGroups", "nonResourceURLs", "resourceNames", "resources", "verbs"))


def _changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy with the value at ``path`` set, or removed when it is None."""
    first, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[first] = _changed(copy[first], tuple(rest), new)
    elif new is None:
        del copy[first]
    else:
        copy[first] = new
    return copy
