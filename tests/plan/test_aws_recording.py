"""Cloud resources in a recording: counted in a layer of their own, left out by `render`, refused by `local up`.

Works on made-up recordings. What is really declared is the matter of the other test_aws_ files.
"""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flameplane import plan
from flameplane.cli import app
from flameplane.cli import render as render_command
from flameplane.local import check
from flameplane.local.problem import Problem
from flameplane.plan import Recording, Resource, cloud_kind
from flameplane.plan.summary import as_text, summarise


def _resource(token: str, name: str, *, custom: bool = True, parent: str | None = None, **inputs: Any) -> Resource:
    return Resource(f"urn:pulumi:s::p::{token}::{name}", token, name, custom, inputs, parent=parent)


ACCOUNT = _resource("flameplane:cloud:Account", "cloud", custom=False)
PROVIDER = _resource("pulumi:providers:aws", "aws", parent=ACCOUNT.urn)
BUCKETS = [_resource("aws:s3/bucket:Bucket", f"b{n}", parent=ACCOUNT.urn, bucket=f"b{n}") for n in range(7)]
ROLE = _resource("aws:iam/role:Role", "r", parent=ACCOUNT.urn)
OBJECT = _resource(
    "kubernetes:core/v1:Namespace", "n", apiVersion="v1", kind="Namespace", metadata={"name": "flameplane-system"}
)
RECORDING = Recording("p", "s", "organization", {}, (ACCOUNT, PROVIDER, *BUCKETS, ROLE, OBJECT))


def test_kind() -> None:
    """Providers, components and Kubernetes objects are none of a cloud's."""
    assert [cloud_kind(r) for r in (ACCOUNT, PROVIDER, OBJECT)] == [None, None, None]
    assert [cloud_kind(r) for r in (BUCKETS[0], ROLE)] == ["s3/Bucket", "iam/Role"]


def test_layer(root: Path) -> None:
    summary = summarise(RECORDING, root, services=1)
    assert summary.layers == {"cloud": {"iam/Role": 1, "s3/Bucket": 7}, "other": {"Namespace": 1}}
    assert summary.objects == 9
    assert "cloud     8  iam/Role 1, s3/Bucket 7" in as_text("s", summary, [], root)


def test_render_leaves_out(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file, and a word about the eight that have none."""
    monkeypatch.setattr(render_command, "recorded", lambda *_: RECORDING)
    monkeypatch.chdir(root)
    result = CliRunner().invoke(app, ["render", "-s", "prod", "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "1 objects in" in result.stdout
    assert "8 cloud resources are left out" in result.stdout
    assert [p.name for p in (tmp_path / "out").rglob("*.yaml")] == ["namespace-flameplane-system.yaml"]


def test_local_up_refuses(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message: how many, which, and what to do; nothing is applied."""
    monkeypatch.setattr(plan, "record", lambda *_: RECORDING)
    monkeypatch.setattr(plan, "evaluate", lambda *_: [])
    monkeypatch.setattr(plan, "check_fields", lambda *_: [])
    with pytest.raises(Problem) as raised:
        check.declared(root, "local", yes_prune=False, say=lambda _: None)
    assert raised.value.ident == "LOC002"
    text = raised.value.text(root)
    assert "declares 8 cloud resources" in text
    assert "aws:s3/bucket:Bucket b0" in text
    assert "b6" not in text  # the first five
    assert "pulumi up -s local" in text
