"""What `pulumi up` and `pulumi destroy` need to come to an end, seen in the recording.

Proves the annotations and the order; tests/engine runs both commands against a cluster.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from variants import Project

from flameplane.plan import Recording, record

SKIP = "pulumi.com/skipAwait"
WAITED_FOR = ("Deployment", "DaemonSet", "StatefulSet", "Service")


@pytest.fixture(scope="module")
def local(root: Path) -> Recording:
    return record(root, "local")


def not_waited_for(objects: list[dict[str, Any]]) -> set[str]:
    found = [m for m in objects if m["metadata"].get("annotations", {}).get(SKIP) == "true"]
    assert {m["kind"] for m in found} <= set(WAITED_FOR)
    return {f"{m['kind']} {m['metadata']['namespace']}/{m['metadata']['name']}" for m in found}


def test_up_does_not_wait_for_images_that_are_open(root: Path, tmp_path: Path) -> None:
    """Pulumi waits ten minutes for a workload, and for a pod behind its Service, and then fails."""
    project = Project(root, tmp_path, locked=False)
    lock = json.loads((root / "images.lock").read_text())
    for name in ("receiver", "gateway"):
        del lock["images"][name]["local"]
    (project.folder / "images.lock").write_text(json.dumps(lock))
    objects = list(project.objects("local").values())
    running = {m["metadata"]["name"]: m["spec"] for m in objects if m["kind"] in WAITED_FOR[:3]}
    waiting = {
        name
        for name, spec in running.items()
        if any(
            c["image"].endswith(":not-locked")
            for c in [*spec["template"]["spec"].get("initContainers", []), *spec["template"]["spec"]["containers"]]
        )
    }
    expected = {
        f"{m['kind']} {m['metadata']['namespace']}/{m['metadata']['name']}"
        for m in objects
        if (m["kind"] in WAITED_FOR[:3] and m["metadata"]["name"] in waiting)
        or (m["kind"] == "Service" and m["spec"]["selector"].get("app.kubernetes.io/name") in waiting)
    }
    headless = {"Service flameplane-backend/pyroscope-headless"}  # Pulumi waits for no pods behind one
    assert not_waited_for(objects) == expected - headless != set()


def test_up_waits_for_everything_once_the_images_are_locked(root: Path, tmp_path: Path) -> None:
    assert not_waited_for(list(Project(root, tmp_path, locked=True).objects().values())) == set()


def test_destroy_does_not_wait_for_claims_behind_a_volume(local: Recording) -> None:
    """A volume goes only with its claim, the claim with its namespace: a volume must not come after the namespace."""
    volumes = [r for r in local.resources if r.type.endswith(":PersistentVolume")]
    assert volumes
    for volume in volumes:
        assert not [urn for urn in volume.dependencies if "core/v1:Namespace::" in urn], volume.name
