"""Injection of language agents: for whom objects are declared, and what the agents are told.

What the policies do to a pod is shown by tests/cluster, on a real API server.
"""

from pathlib import Path
from typing import Any

import pytest
from variants import Objects, Project

from flameplane import catalog

BINDING = "MutatingAdmissionPolicyBinding"
ANCHOR = f"{BINDING} flameplane-inject-anchor"


@pytest.fixture(scope="module")
def locked(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return Project(root, tmp_path_factory.mktemp("locked"), locked=True).objects()


@pytest.fixture(scope="module")
def opened(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return Project(root, tmp_path_factory.mktemp("open"), locked=False).objects()


def environment(objects: Objects, service: str) -> dict[str, str]:
    lines = objects[f"ConfigMap flameplane-system/inject-{service}"]["data"]["env"].splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_no_pod_is_changed_towards_an_image_that_is_still_open(opened: Objects) -> None:
    assert [key for key in opened if key.startswith(BINDING)] == [ANCHOR]
    assert [key for key in opened if "/inject-" in key] == []


def test_services_are_injected_that_ask_for_more_than_the_node_agent_delivers(locked: Objects, root: Path) -> None:
    bindings = {key for key in locked if key.startswith(BINDING)} - {ANCHOR}
    services = {key.removeprefix(f"{BINDING} flameplane-inject-") for key in bindings}
    declared = catalog.load(root).catalog
    assert declared
    assert services == {service.name for service in declared.services if service.injected}
    assert {"ledger", "search", "web-bff"} <= services
    assert not {"checkout", "cart", "inventory", "event-ingest"} & services, "Go is scraped"


def test_one_binding_always_stays_and_takes_no_pod(opened: Objects, locked: Objects) -> None:
    """Without any, the API server would stop watching parameters for good (tests/cluster shows it)."""
    for objects in (opened, locked):
        spec = objects[ANCHOR]["spec"]
        assert f"MutatingAdmissionPolicy {spec['policyName']}" in objects
        assert f"ConfigMap {spec['paramRef']['namespace']}/{spec['paramRef']['name']}" in objects
        label = spec["matchResources"]["objectSelector"]["matchLabels"]
        assert not [key for key in objects if label.items() <= (objects[key]["metadata"]["labels"] or {}).items()]


def test_a_binding_reaches_one_services_pods_with_its_own_parameters(locked: Objects) -> None:
    spec: dict[str, Any] = locked[f"{BINDING} flameplane-inject-fraud-scoring"]["spec"]
    assert spec["policyName"] == "flameplane-inject-python"
    assert spec["paramRef"] == {
        "name": "inject-fraud-scoring",
        "namespace": "flameplane-system",
        "parameterNotFoundAction": "Allow",
    }
    assert spec["matchResources"]["objectSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "fraud-scoring",
        "app.kubernetes.io/component": "api",
    }


def test_an_agent_never_counts_what_the_node_agent_counts(locked: Objects) -> None:
    """cpuSource ebpf: no CPU profile from inside the process."""
    assert environment(locked, "web-bff")["FLAMEPLANE_TYPES"].split(",") == ["alloc", "wall"]
    assert environment(locked, "ledger")["PYROSCOPE_PROFILER_EVENT"] == "itimer", "cpuSource agent"


def test_java_uploads_hold_no_properties_and_no_command_line(locked: Objects) -> None:
    for service in ("ledger", "search"):
        assert "jfropts=3" in environment(locked, service)["PYROSCOPE_AP_EXTRA_ARGUMENTS"].split(",")


@pytest.mark.parametrize("language", ["java", "node", "python"])
def test_an_error_of_the_policy_never_stops_a_pod(language: str, locked: Objects) -> None:
    spec = locked[f"MutatingAdmissionPolicy flameplane-inject-{language}"]["spec"]
    assert spec["failurePolicy"] == "Ignore"
    conditions = {c["name"] for c in spec["matchConditions"]}
    assert conditions == {"not-opted-out", "sampled", "own-address", "not-injected"}


@pytest.mark.parametrize("language", ["java", "node", "python"])
def test_no_patch_value_is_a_list_of_objects(language: str, locked: Objects) -> None:
    """Kubernetes 1.36.3 panics on one, and the pod is not created, whatever the failure policy says."""
    spec = locked[f"MutatingAdmissionPolicy flameplane-inject-{language}"]["spec"]
    (patch,) = [m["jsonPatch"]["expression"] for m in spec["mutations"] if m["patchType"] == "JSONPatch"]
    assert "value: []" in patch
    assert "value: [Object" not in patch
