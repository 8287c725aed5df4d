"""Who asks for a way past the gateway is on the API server's record, in lines that the alarm of the cloud counts."""

import json
from typing import Any

import pytest
from log_filter import matches
from platform_client import BROKEN_GLASS, Platform, ways

from components.aws.cluster_audit import pattern
from local.cluster.components import AUDIT_LOG
from local.cluster.layout import Layout
from schemas.allowed import BACKEND_NAMESPACE, PAST_THE_GATEWAY


def counted() -> list[dict[str, Any]]:
    """Lines of the API server's audit log that the alarm of the cloud counts (components/aws/cluster_audit.py)."""
    log = Layout.current().disk / AUDIT_LOG.lstrip("/")
    assert log.is_file(), "this cluster was started without an audit log: `make down`, then again"
    return [json.loads(line) for line in log.read_text().splitlines() if matches(pattern(), line)]


@pytest.mark.parametrize("way", PAST_THE_GATEWAY)
def test_what_the_guard_refuses_is_a_line(platform: Platform, a_pod: str, way: str) -> None:
    before = len(counted())
    assert not platform.call("--request-timeout=20s", *ways(a_pod)[way]).ok
    new = counted()[before:]
    assert {f"{e['objectRef']['resource']}/{e['objectRef']['subresource']}" for e in new} == {way}
    assert {e["responseStatus"]["code"] for e in new} == {403}


@pytest.mark.parametrize("way", PAST_THE_GATEWAY)
def test_what_rbac_refuses_is_one_too(platform: Platform, a_pod: str, way: str) -> None:
    """Asked for without kubectl's own question for the pod, which RBAC would refuse before."""
    before = len(counted())
    kind, _, subresource = way.partition("/")
    path = f"/api/v1/namespaces/{BACKEND_NAMESPACE}/{kind}/{a_pod}/{subresource}"
    assert not platform.call("--as=mallory", "get", "--raw", path).ok
    found = [(e["impersonatedUser"]["username"], e["objectRef"]["subresource"]) for e in counted()[before:]]
    assert set(found) == {("mallory", subresource)}


@pytest.mark.parametrize("way", ["pods/exec", "pods/proxy", "services/proxy"])
def test_who_breaks_the_glass_is_named(platform: Platform, a_pod: str, way: str) -> None:
    before = len(counted())
    platform.call("--request-timeout=20s", *BROKEN_GLASS, *ways(a_pod)[way])
    new = counted()[before:]
    assert {e["impersonatedUser"]["username"] for e in new} == {"jane"}
    assert {f"{e['objectRef']['resource']}/{e['objectRef']['subresource']}" for e in new} == {way}


def test_an_ephemeral_container_is_one_too(platform: Platform, a_pod: str) -> None:
    before = len(counted())
    pod = platform.get("pod", a_pod, f"--namespace={BACKEND_NAMESPACE}")
    platform.replace_raw(f"/api/v1/namespaces/{BACKEND_NAMESPACE}/pods/{a_pod}/ephemeralcontainers?dryRun=All", pod)
    assert [e["objectRef"]["subresource"] for e in counted()[before:]] == ["ephemeralcontainers"]


def test_what_everybody_does_is_none(platform: Platform, a_pod: str) -> None:
    before = len(counted())
    assert platform.call("get", "pods", f"--namespace={BACKEND_NAMESPACE}").ok
    assert platform.call("logs", f"--namespace={BACKEND_NAMESPACE}", a_pod).ok
    platform.call("--request-timeout=20s", "exec", "--namespace=default", "no-such-pod", "--", "true")
    assert counted()[before:] == []
