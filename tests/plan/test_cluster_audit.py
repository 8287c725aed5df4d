"""Which lines of the cluster's audit log alarm. Real lines are in tests/cluster/test_platform_audit.py."""

import json
from pathlib import Path

import pytest
import yaml
from log_filter import LONGEST, matches

from components.aws.cluster_audit import pattern
from local.cluster import components
from schemas.allowed import INTO_A_POD, NAMESPACES, PAST_THE_GATEWAY

WAYS = (*PAST_THE_GATEWAY, INTO_A_POD)


def line(resource: str, namespace: str | None, code: int = 403, **more: str) -> str:
    kind, _, subresource = resource.partition("/")
    reference = {"resource": kind, "subresource": subresource or None, "namespace": namespace, "apiVersion": "v1"}
    event = {"objectRef": {k: v for k, v in reference.items() if v}, "responseStatus": {"code": code}, **more}
    return json.dumps({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", **event})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("code", [101, 200, 403])
def test_every_way_in_counts_whatever_the_answer(way: str, namespace: str, code: int) -> None:
    assert matches(pattern(), line(way, namespace, code))


@pytest.mark.parametrize(
    "text",
    [
        *(line(way, "default") for way in WAYS),
        *(line(way, "flameplane-backend-of-others") for way in WAYS),
        line("pods", "flameplane-backend"),
        line("pods/log", "flameplane-backend"),
        line("pods/status", "flameplane-node"),
        line("nodes/proxy", None),
        line("pods", "default", requestURI="/api/v1/namespaces/default/pods/exec"),
        'I1128 07:00:00 "objectRef.namespace": flameplane-backend exec',
    ],
)
def test_nothing_else_does(text: str) -> None:
    assert not matches(pattern(), text)


def test_cloudwatch_takes_it() -> None:
    assert len(pattern()) <= LONGEST


def test_the_local_cluster_records_the_same() -> None:
    """What EKS does by itself, another cluster does by this file."""
    policy = yaml.safe_load(components.files("group")[components.AUDIT_POLICY])
    recorded, rest = policy["rules"]
    assert set(recorded["namespaces"]) == set(NAMESPACES)
    assert [set(group["resources"]) for group in recorded["resources"]] == [set(WAYS)]
    assert (recorded["level"], rest) == ("Metadata", {"level": "None"})
    assert Path(components.AUDIT_POLICY).name in " ".join(components.commands()["kube-apiserver"])
