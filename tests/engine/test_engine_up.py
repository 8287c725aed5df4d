"""`pulumi up`, again, `refresh` and `destroy` with the policy pack against the real local cluster.

Proves that the real engine and provider bring up what the program declares, that nothing is changed by a second run or
by what the API server fills in, and that `destroy` leaves nothing. One stack for the whole file; tests run in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from livecluster import prepared
from workbench import Done, Workbench

from flameplane import plan
from flameplane.local.kubectl import Kubectl

OURS = "--selector=app.kubernetes.io/part-of=flameplane"


@dataclass(frozen=True)
class Deployed:
    """The stack after its first `up`."""

    bench: Workbench
    first: Done


@pytest.fixture(scope="module")
def deployed(root: Path, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    bench = Workbench(root, tmp_path_factory.mktemp("up"), kubeconfig=kubectl.kubeconfig).start()
    try:
        with prepared(root, kubectl):
            first = bench.run("up", "--yes", "--skip-preview")
        assert first.code == 0, first.text
        yield Deployed(bench, first)
    finally:
        bench.run("destroy", "--yes", "--skip-preview")


def test_up_makes_every_declared_object(deployed: Deployed, kubectl: Kubectl) -> None:
    recording = plan.record(deployed.bench.project, "local")
    declared = [m for r in recording.resources if (m := plan.manifest(r))]
    assert deployed.first.changes == {"create": len(recording.resources)}
    there = kubectl.get(objects=declared, doing="look for the declared objects")
    assert len(there) == len(declared) > 0


def test_a_second_up_changes_nothing(deployed: Deployed) -> None:
    done = deployed.bench.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert done.code == 0, done.text
    assert set(done.changes) == {"same"}


def test_what_the_api_server_fills_in_is_no_drift(deployed: Deployed) -> None:
    done = deployed.bench.run("refresh", "--preview-only", "--expect-no-changes")
    assert done.code == 0, done.text


def test_refresh_writes_nothing_that_the_next_up_undoes(deployed: Deployed) -> None:
    done = deployed.bench.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert done.code == 0, done.text
    test_a_second_up_changes_nothing(deployed)


def test_a_changed_rate_touches_the_shared_objects_alone(deployed: Deployed) -> None:
    service = deployed.bench.project / "services" / "payments" / "ledger" / "service.yaml"
    text = service.read_text()
    assert "sampleRateHz" not in text, "the service has a rate of its own by now: choose another"
    service.write_text(text.replace("profiling:", "profiling:\n    sampleRateHz: 19", 1))
    done = deployed.bench.run("up", "--yes", "--skip-preview")
    assert done.code == 0, done.text
    changed = {urn.rpartition("::")[2] for urn, step in done.resources.items() if step["op"] != "same"}
    shared = {"flameplane-node/node-services", "flameplane-system/catalog-payments", "flameplane-access/ci-gate"}
    assert changed - {"flameplane-system/inject-ledger"} == shared  # the fourth: once its agent's image is locked


def test_destroy_leaves_nothing(deployed: Deployed, kubectl: Kubectl) -> None:
    kinds = sorted(
        {step["type"].rpartition(":")[2] for step in deployed.first.resources.values() if "$kubernetes:" in step["urn"]}
    )
    done = deployed.bench.run("destroy", "--yes", "--skip-preview")
    assert done.code == 0, done.text
    left = kubectl.get(",".join(kinds), "--all-namespaces", OURS, doing="look for what is left")
    assert [(item["kind"], item["metadata"]["name"]) for item in left] == []
