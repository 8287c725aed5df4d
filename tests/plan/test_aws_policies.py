"""Every policy document that is declared, by Parliament: spelling of actions, resources and condition keys, and form.

Proves nothing about what a document means: test_aws_requests.py asks that.
"""

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flameplane.plan import record

STACKS = ("dev", "staging", "prod")
# Where AWS's own words differ from what Parliament expects of an identity policy. Anything else is a failure.
EXPECTED = {
    # In a key policy "*" is the key itself: AWS gives no other way to write it before the key exists.
    "Key": {"RESOURCE_STAR": ("kms:",)},
    # AWS's example for old TLS has the number 1.2; Parliament takes whole numbers only. It also expands s3:* to actions
    # on access points and batch replication, which are never asked of a bucket.
    "BucketPolicy": {
        "MISMATCHED_TYPE": ("s3:TlsVersion requires a value of type Numeric but given ['1.2']",),
        "UNKNOWN_CONDITION_FOR_ACTION": ("s3:TlsVersion",),
    },
}
# AWS's limits, in characters without white space.
LIMITS = {"BucketPolicy": 20_480, "Key": 32_768, "RolePolicy": 10_240, "Role": 2_048, "VpcEndpoint": 20_480}


@cache
def _documents(root: Path, stack: str) -> list[tuple[str, str, str]]:
    """Kind and name of the resource, and the text, of every policy document."""
    return [
        (resource.type.split(":")[-1], resource.name, resource.inputs[key])
        for resource in record(root, stack).resources
        for key in ("policy", "assumeRolePolicy")
        if resource.type.startswith("aws:") and key in resource.inputs
    ]


@cache
def _parliament() -> ModuleType:
    """Parliament asks pkg_resources, which setuptools 82 dropped, for nothing but the folder of its own data."""
    if "pkg_resources" not in sys.modules:
        stand_in = ModuleType("pkg_resources")

        def resource_filename(package: str, name: str) -> str:
            spec = importlib.util.find_spec(package)
            assert spec
            assert spec.origin
            return str(Path(spec.origin).parent / name)

        stand_in.resource_filename = resource_filename  # type: ignore[attr-defined]
        sys.modules["pkg_resources"] = stand_in
    return importlib.import_module("parliament")


def _findings(kind: str, text: str) -> list[str]:
    document = json.loads(text)
    if kind == "Role":
        for statement in document["Statement"]:
            statement["Resource"] = "arn:aws:iam::111122223333:role/x"  # a trust policy has none; its role is meant
    found = _parliament().analyze_policy_string(json.dumps(document), ignore_private_auditors=True).findings
    expected = EXPECTED.get(kind, {})
    return [
        f"{f.issue} {f.detail}" for f in found if not any(words in str(f.detail) for words in expected.get(f.issue, ()))
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_parliament(root: Path, stack: str) -> None:
    documents = _documents(root, stack)
    assert len(documents) >= 12
    assert {f"{kind} {name}": found for kind, name, text in documents if (found := _findings(kind, text))} == {}


def _misspelt_action(document: dict[str, Any]) -> None:
    document["Statement"][0]["Action"] = "s3:GetObjekt"


def _misspelt_operator(document: dict[str, Any]) -> None:
    document["Statement"][0]["Condition"] = {"StringEqual": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}


def _misspelt_key(document: dict[str, Any]) -> None:
    document["Statement"][0]["Condition"] = {"StringEquals": {"s3:prefixx": "a"}}


def _no_effect(document: dict[str, Any]) -> None:
    del document["Statement"][0]["Effect"]


def _wrong_resource(document: dict[str, Any]) -> None:
    document["Statement"][0].update(Action="s3:GetObject", Resource="arn:aws:s3:::bucket")


@pytest.mark.parametrize(
    "slip", [_misspelt_action, _misspelt_operator, _misspelt_key, _no_effect, _wrong_resource], ids=lambda f: f.__name__
)
def test_parliament_finds_slips(root: Path, slip: Any) -> None:
    """What it is asked for: each slip in a real document is found."""
    text = next(t for kind, name, t in _documents(root, "prod") if (kind, name) == ("RolePolicy", "gateway"))
    document = json.loads(text)
    slip(document)
    assert _findings("RolePolicy", json.dumps(document))


@pytest.mark.parametrize("stack", STACKS)
def test_form(root: Path, stack: str) -> None:
    """Sorted keys, a unique Sid per statement, within AWS's limits, no grant to everybody but through the endpoint."""
    for kind, name, text in _documents(root, stack):
        document = json.loads(text)
        assert text == json.dumps(document, sort_keys=True), name
        assert document["Version"] == "2012-10-17"
        sids = [statement["Sid"] for statement in document["Statement"]]
        assert len(set(sids)) == len(sids)
        assert len(json.dumps(document, separators=(",", ":"))) <= LIMITS.get(kind, 20_480) * 0.8, name
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow" and kind != "VpcEndpoint":
                assert statement.get("Principal") != "*", name
                assert "*" not in json.dumps(statement["Action"]), name
