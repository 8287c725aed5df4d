"""`flameplane local down` on an existing cluster that is named: exactly what `up` put there goes, and nothing else.

The existing cluster is the local one under its kubeconfig. Images and folders of volumes are there already, so what is
different where they are not is not shown.
"""

import pytest
from platform_client import Platform

THEIRS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "somebody"}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "somebody"}},
    # The label of our objects, but not put there by us.
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "somebody", "labels": {"app.kubernetes.io/part-of": "flameplane"}},
        "rules": [],
    },
]


def test_what_was_put_on_an_existing_cluster_goes_and_nothing_else(platform: Platform, was_up: bool) -> None:
    if was_up:
        pytest.skip("NOT RUN: it would end injection on the cluster that is up (docs/components.md, limits)")
    kubectl = platform.kubectl
    named = ("--kubeconfig", str(kubectl.kubeconfig), "--context", kubectl.context)
    assert platform.call("create", objects=THEIRS).ok
    assert "0 created, 0 changed" in platform.up(*named)
    count = len(platform.members())
    assert count > 50

    done = platform.local("down", *named)
    assert done.code == 0, done.text
    assert f"{count} objects removed" in done.text
    assert platform.members() == {}
    assert len(kubectl.get(objects=THEIRS, doing="look for them")) == len(THEIRS)
    namespaces = {item["metadata"]["name"] for item in kubectl.get("namespaces", doing="list namespaces")}
    assert namespaces == {"default", "kube-node-lease", "kube-public", "kube-system", "somebody"}
    for kind in ("persistentvolumes", "validatingadmissionpolicies", "mutatingadmissionpolicies", "crd"):
        assert kubectl.get(kind, doing=f"list {kind}") == []

    again = platform.local("down", *named)
    assert again.code == 0
    assert "nothing of the platform" in again.text
    assert platform.call("delete", "--wait", objects=THEIRS).ok


@pytest.mark.parametrize("choice", [("--kubeconfig", "missing"), ("--context", "x"), ("--kind", "--context", "x")])
def test_a_cluster_is_named_completely(platform: Platform, choice: tuple[str, ...]) -> None:
    done = platform.local("up", *choice)
    assert done.code == 2
    assert "--context" in done.text


def test_a_kubeconfig_that_is_not_there_is_named(platform: Platform) -> None:
    done = platform.local("down", "--kubeconfig", "missing", "--context", "x")
    assert done.code == 3
    assert "[LOC010]" in done.text
    assert "missing" in done.text
