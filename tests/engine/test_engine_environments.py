"""`pulumi preview` of every environment with the policy pack: real engine, language host and providers; no cluster.

Proves that what `flameplane plan` records and judges is what the engine gets and does. Cannot prove that an API server
takes it: the provider checks nothing offline (test_engine_up.py does). An environment in a cloud needs that cloud's
provider and credentials; its Kubernetes side is previewed in any case.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from environments import OTHER_ENDPOINT, Environment, cannot_run, every_environment
from workbench import Done, Workbench

from flameplane import plan
from flameplane.plan import Recording

LEVELS = {"error": "mandatory", "warning": "advisory"}


@dataclass(frozen=True)
class Previewed:
    """One environment: what `plan` says of the copy that the engine ran, and what the engine said."""

    environment: Environment
    project: Path
    recording: Recording
    done: Done


@pytest.fixture(scope="module", params=every_environment(), ids=str)
def previewed(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Previewed:
    environment: Environment = request.param
    bench = Workbench(root, tmp_path_factory.mktemp("environment"), environment.stack)
    environment.prepare(bench)
    recording = plan.record(bench.project, environment.stack)
    if reason := cannot_run(environment, (resource.type for resource in recording.resources)):
        pytest.skip(f"NOT RUN: {reason}")
    return Previewed(environment, bench.project, recording, bench.start().run("preview"))


def as_provider_writes(declared: Any, sent: Any) -> Any:
    """The provider leaves out a `false` and an empty list that Kubernetes takes for absent; nothing else may differ."""
    if isinstance(declared, dict) and isinstance(sent, dict):
        return {
            key: as_provider_writes(value, sent.get(key))
            for key, value in declared.items()
            if key in sent or not (value is False or value == [])
        }
    if isinstance(declared, list) and isinstance(sent, list) and len(declared) == len(sent):
        return [as_provider_writes(mine, theirs) for mine, theirs in zip(declared, sent, strict=True)]
    return declared


def kubernetes(resources: Recording) -> Iterator[tuple[str, dict[str, Any]]]:
    """URN and object."""
    return ((r.urn, found) for r in resources.resources if (found := plan.manifest(r)))


def test_preview_declares_what_plan_records(previewed: Previewed) -> None:
    declared = {resource.urn: resource for resource in previewed.recording.resources}
    steps = previewed.done.resources
    assert {urn: step["op"] for urn, step in steps.items()} == dict.fromkeys(declared, "create"), previewed.done.text
    assert {urn for urn, step in steps.items() if step["new"].get("protect")} == {
        urn for urn, resource in declared.items() if resource.protect
    }
    compared = 0
    for urn, manifest in kubernetes(previewed.recording):
        sent = steps[urn]["new"]["inputs"]
        assert sent == as_provider_writes(manifest, sent), urn
        compared += 1
    assert compared == len([urn for urn in steps if "$kubernetes:" in urn]) > 0


def test_preview_is_judged_as_plan_judges(previewed: Previewed) -> None:
    (stack_rules,) = previewed.done.of("policyAnalyzeStackSummaryEvent")
    assert stack_rules["policyPackName"] == "flameplane"
    assert len(stack_rules["passed"]) > 0
    findings = plan.evaluate(previewed.recording, previewed.project)
    by_engine = sorted((e["policyName"], e["enforcementLevel"]) for e in previewed.done.of("policyEvent"))
    assert by_engine == sorted((f.id, LEVELS[f.severity]) for f in findings)


def test_nothing_stops_it_but_images_that_are_not_locked(previewed: Previewed) -> None:
    """Until images.lock is filled from a registry, all but `local` are refused, and by this rule alone."""
    done = previewed.done
    assert done.mandatory <= ({"FP005"} if previewed.environment.stack != "local" else set()), done.text
    assert (done.code != 0) == bool(done.mandatory), done.text


WITHOUT_CLOUD = [environment for environment in every_environment() if not environment.whole]


@pytest.mark.parametrize("environment", WITHOUT_CLOUD, ids=str)
def test_without_its_cloud_an_environment_has_its_objects(environment: Environment, root: Path, tmp_path: Path) -> None:
    """So that a preview of that says something about the environment."""
    bench = Workbench(root, tmp_path, environment.stack)
    environment.prepare(bench)
    whole = dict(kubernetes(plan.record(root, environment.stack)))
    without = dict(kubernetes(plan.record(bench.project, environment.stack)))
    assert without.keys() == whole.keys()
    differ = {urn.rpartition("::")[2] for urn in whole if alike(without[urn]) != alike(whole[urn])}
    # Where audit records go, and the way there.
    assert differ <= {"flameplane-access/gateway"}


def alike(manifest: dict[str, Any]) -> str:
    """An object without the object storage's address, which pods carry as a checksum of their configuration."""
    text = re.sub(r'"flameplane.dev/config-checksum": "\w+"', "", json.dumps(manifest, sort_keys=True))
    return re.sub(rf"s3\.[a-z0-9-]+\.amazonaws\.com|{re.escape(OTHER_ENDPOINT)}", "", text)
