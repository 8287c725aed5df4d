"""Objects as the API server returns them, and what of them was declared. The cluster tier has real ones."""

import copy
from typing import Any

import pytest

from policies.applied import declared

PORT = 'k:{"containerPort":4040,"protocol":"TCP"}'
POD = {"f:name": {}, "f:valueFrom": {"f:fieldRef": {}}}
STORED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "gateway",
        "namespace": "flameplane-access",
        "uid": "1",
        "labels": {"app": "gateway", "of-somebody-else": "x"},
        "managedFields": [
            {
                "manager": "pulumi-kubernetes-3f2a",
                "operation": "Apply",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"gateway"}': {
                                        ".": {},
                                        "f:name": {},
                                        "f:args": {},
                                        "f:ports": {
                                            'k:{"containerPort":4040,"protocol":"TCP"}': {
                                                ".": {},
                                                "f:containerPort": {},
                                            }
                                        },
                                        "f:env": {
                                            'k:{"name":"POD"}': {"f:name": {}, "f:valueFrom": {"f:fieldRef": {}}}
                                        },
                                    }
                                },
                                "f:finalizers": {'v:"kept"': {}},
                            }
                        },
                    },
                },
            },
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:x": {}}}}},
        ],
    },
    "spec": {
        "replicas": 2.0,
        "revisionHistoryLimit": 10,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "args": ["--listen=:4040"],
                        "terminationMessagePath": "/dev/termination-log",
                        "ports": [{"containerPort": 4040.0, "protocol": "TCP"}],
                        "env": [{"name": "POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "a"}}}],
                    },
                    {"name": "injected"},
                ],
                "finalizers": ["kept", "added"],
            }
        },
    },
    "status": {"readyReplicas": 2},
}


def test_only_what_pulumi_owns_is_declared() -> None:
    assert declared(STORED) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gateway", "namespace": "flameplane-access", "labels": {"app": "gateway"}},
        "spec": {
            "replicas": 2.0,
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "gateway",
                            "args": ["--listen=:4040"],
                            "ports": [{"containerPort": 4040.0}],
                            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}],
                        }
                    ],
                    "finalizers": ["kept"],
                }
            },
        },
    }


@pytest.mark.parametrize("manager", ["kubectl", "argocd-controller"])
def test_what_somebody_else_applied_is_left_as_it_is(manager: str) -> None:
    stored = copy.deepcopy(STORED)
    stored["metadata"]["managedFields"][0]["manager"] = manager
    assert declared(stored) is stored


def test_before_apply_everything_is_declared() -> None:
    bare = {key: value for key, value in STORED.items() if key != "metadata"} | {"metadata": {"name": "gateway"}}
    assert declared(bare) is bare
