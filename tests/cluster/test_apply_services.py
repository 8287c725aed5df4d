"""A change in services/, then `flameplane local up`: exactly the objects that docs/components.md names are written.

Shown by what the API server counts (generation, or resource version where an object has none). Also what `local up`
refuses, each time with nothing changed: to take over or fight for objects, to remove much, to apply something broken.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environments import Environment
from platform_client import Platform

from flameplane.local import wait
from flameplane.local.apply import Apply
from flameplane.local.kubectl import Object
from flameplane.local.problem import Problem

SYSTEM, NODE, ACCESS, BACKEND = (f"flameplane-{name}" for name in ("system", "node", "access", "backend"))
NODE_SERVICES, CI_GATE = f"ConfigMap {NODE}/node-services", f"ConfigMap {ACCESS}/ci-gate"
RULES = f"ConfigMap {SYSTEM}/flameplane-rules"
PAYMENTS = f"ConfigMap {SYSTEM}/catalog-payments"

SERVICE = """\
apiVersion: flameplane.dev/v1
kind: Service
metadata:
  name: {name}
  team: {team}
  repository: https://git.example.com/acme/{name}
spec:
  language: {{name: {language}}}
  workload: {{namespace: {team}, selector: {{app.kubernetes.io/name: {name}}}}}
  profiling: {{sampleRateHz: {rate}, types: {types}}}
  budget: {{monthlyUsd: {budget}}}
"""
TEAM = """\
apiVersion: flameplane.dev/v1
kind: Team
metadata: {name: routing, slack: "#routing", owners: ["@acme/routing"]}
spec: {groups: [routing-engineers]}
"""


def write(
    services: Path, name: str, team: str = "payments", language: str = "native", rate: int = 19, budget: int = 5
) -> None:
    file = services / team / name / "service.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    types = "[cpu, alloc]" if language == "go" else "[cpu]"
    file.write_text(SERVICE.format(name=name, team=team, language=language, rate=rate, types=types, budget=budget))


def add_team(services: Path) -> None:
    (services / "routing").mkdir()
    (services / "routing/_team.yaml").write_text(TEAM)
    write(services, "planner", "routing")


# One after the other, on the same tree: what is changed, the row of the docs, and the objects that are written.
STEPS: list[tuple[Callable[[Path], object], str, set[str]]] = [
    (lambda s: write(s, "payouts"), "service added or removed", {PAYMENTS, NODE_SERVICES, CI_GATE, RULES}),
    (lambda s: write(s, "payouts", rate=99), "sample rate", {PAYMENTS, NODE_SERVICES, CI_GATE}),
    (lambda s: write(s, "payouts", rate=99, budget=6), "budget", {PAYMENTS, RULES}),
    (
        lambda s: shutil.rmtree(s / "payments/payouts"),
        "service added or removed",
        {PAYMENTS, NODE_SERVICES, CI_GATE, RULES},
    ),
    (
        lambda s: write(s, "settlement", language="go"),
        "service added or removed",
        {PAYMENTS, NODE_SERVICES, CI_GATE, RULES, f"NetworkPolicy {NODE}/flameplane-node"},
    ),
]
TEAM_STEP = {
    f"ConfigMap {SYSTEM}/catalog-routing",
    f"ConfigMap {BACKEND}/pyroscope-overrides",
    f"ConfigMap {ACCESS}/gateway",
    f"ConfigMap {SYSTEM}/flameplane-datasources",
    f"CronJob {SYSTEM}/flameplane-cost-report",
    f"CronJob {SYSTEM}/flameplane-downsample",
    f"CronJob {SYSTEM}/flameplane-drift",
    RULES,
    NODE_SERVICES,
    CI_GATE,
}


@pytest.fixture
def services(platform: Platform, tmp_path: Path) -> Iterator[Path]:
    """A copy of services/ to change; afterwards the platform is again what the project's own declares."""
    copy = tmp_path / "services"
    shutil.copytree(platform.root / "services", copy)
    platform.up()
    yield copy
    platform.up("--yes-prune", "--force-conflicts")


def touched(platform: Platform, before: dict[str, object]) -> set[str]:
    """Objects that were written, made or removed since."""
    after = platform.versions()
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def documented(root: Path, row: str) -> str:
    """The row of the docs that says what a change touches."""
    text = (root / "docs/components.md").read_text()
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {row}")]
    return found


def test_only_what_the_docs_name_is_touched(platform: Platform, services: Path) -> None:
    for change, row, expected in STEPS:
        before = platform.versions()
        change(services)
        platform.up(services=services)
        assert touched(platform, before) == expected, row
        said = documented(platform.root, row).replace("<team>", "payments")
        assert not [name for name in expected if name.split("/")[-1] not in said]


def test_a_team_comes_and_goes_with_its_own_object(platform: Platform, services: Path) -> None:
    before = platform.versions()
    add_team(services)
    said = platform.up(services=services)
    assert "1 created" in said
    assert touched(platform, before) == TEAM_STEP
    rows = documented(platform.root, "team added") + documented(platform.root, "service added")
    rows = rows.replace("<team>", "routing").replace("the three CronJobs", "cost-report downsample drift")
    assert not [name for name in TEAM_STEP if name.split("/")[-1].removeprefix("flameplane-") not in rows]

    before = platform.versions()
    shutil.rmtree(services / "routing")
    said = platform.up(services=services)
    assert "1 removed" in said
    assert touched(platform, before) == TEAM_STEP
    assert not platform.kubectl.get("configmap", "catalog-routing", f"--namespace={SYSTEM}", doing="look for it")


# -- refusals ------------------------------------------------------------------------------------------------------


def refused(platform: Platform, code: str, *arguments: str, services: Path | None = None) -> str:
    """`local up` has to stop with this problem and exit code 3, and change nothing; what it said."""
    before = platform.versions()
    done = platform.local("up", "--without-pulumi", *arguments, services=services)
    assert done.code == 3, done.text
    assert f"[{code}]" in done.text
    assert touched(platform, before) == set()
    return done.text


def test_an_empty_services_folder_is_refused(platform: Platform, services: Path) -> None:
    for team in {file.parents[1] for file in services.glob("*/*/service.yaml")}:
        shutil.rmtree(team)
    assert "--yes-prune" in refused(platform, "LOC003", services=services)


def test_a_broken_service_stops_with_its_line_before_anything_else(platform: Platform, services: Path) -> None:
    write(services, "payouts", rate=500)
    before = platform.versions()
    done = platform.local("up", "--without-pulumi", services=services)
    assert done.code == 1
    assert "service.yaml:10:" in done.text
    assert "Traceback" not in done.text
    assert touched(platform, before) == set()


def test_more_than_a_fifth_is_removed_only_when_asked(
    platform: Platform, environment_of: Callable[[str], Environment]
) -> None:
    before = platform.versions()
    objects = list(environment_of("local").manifests)
    few = objects[: len(objects) * 3 // 4]
    with pytest.raises(Problem) as raised:
        Apply(platform.kubectl, few, yes_prune=False, force=False, say=print).prepare()
    assert raised.value.ident == "LOC004"
    allowed = Apply(platform.kubectl, few, yes_prune=True, force=False, say=print).prepare()
    assert len(allowed.removed) == len(objects) - len(few)
    assert touched(platform, before) == set()  # only prepared


def test_nothing_is_applied_when_one_object_is_broken(
    platform: Platform, environment_of: Callable[[str], Environment]
) -> None:
    before = platform.versions()
    metadata = {"name": "broken", "namespace": SYSTEM}
    fine: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "name": "fine"}}
    broken: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "dta": {}}
    objects = [fine, *environment_of("local").manifests, broken]
    with pytest.raises(Problem) as raised:
        Apply(platform.kubectl, objects, yes_prune=False, force=False, say=print).prepare()
    assert raised.value.ident == "LOC006"
    (said,) = raised.value.details
    assert said.startswith(f"ConfigMap {SYSTEM}/broken: ")
    assert "dta" in said
    assert touched(platform, before) == set()


def test_an_object_of_somebody_else_is_not_taken_over(platform: Platform, services: Path) -> None:
    arguments = ("configmap", "catalog-routing", f"--namespace={SYSTEM}")
    assert platform.call("create", *arguments).ok
    try:
        add_team(services)
        assert "ConfigMap flameplane-system/catalog-routing" in refused(platform, "LOC005", services=services)
    finally:
        platform.call("delete", *arguments)


def test_a_field_that_somebody_else_changed_is_named_and_taken_back_when_asked(
    platform: Platform, services: Path
) -> None:
    deployment = ("deployment", "checkout", "--namespace=payments")
    assert platform.call("scale", *deployment, "--replicas=2").ok
    said = refused(platform, "LOC007")
    assert "Deployment payments/checkout" in said
    assert ".spec.replicas" in said
    assert "--force-conflicts" in said
    platform.up("--force-conflicts")
    assert platform.get(*deployment)["spec"]["replicas"] == 1


# -- waiting -------------------------------------------------------------------------------------------------------


def until_it_crashed_again(platform: Platform) -> None:
    """A busy machine takes its time to start a container, let alone twice."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        selector = "--selector=app.kubernetes.io/name=crashing"
        pods = platform.kubectl.get("pods", "--namespace=default", selector, doing="look at the crashing pod")
        statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
        if any(status["restartCount"] > 1 for status in statuses):
            return
        time.sleep(1)
    raise AssertionError("the pod did not crash twice within three minutes")


def test_a_pod_that_crashes_is_reported_with_its_last_words(platform: Platform) -> None:
    labels = {"app.kubernetes.io/name": "crashing", "app.kubernetes.io/part-of": "flameplane"}
    main = {
        "name": "main",
        "image": "localhost/flameplane/demo-python:local",
        "imagePullPolicy": "Never",
        "env": [{"name": "PYTHONHOME", "value": "/nowhere"}],  # the interpreter does not find its own library
    }
    crashing = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "crashing", "namespace": "default", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [main]}},
        },
    }
    unschedulable = {**crashing, "metadata": {**crashing["metadata"], "name": "nowhere"}}
    spec = {"containers": [{**main, "name": "big", "resources": {"requests": {"cpu": "900"}}}]}
    other = {**labels, "app.kubernetes.io/name": "nowhere"}
    unschedulable["spec"] = {
        "selector": {"matchLabels": other},
        "template": {"metadata": {"labels": other}, "spec": spec},
    }
    assert platform.call("create", objects=[crashing, unschedulable]).ok
    try:
        until_it_crashed_again(platform)
        with pytest.raises(Problem) as raised:
            wait.wait(platform.kubectl, {}, 15, lambda _: None, ours=True)
        said = "\n".join(raised.value.details)
        assert raised.value.ident == "LOC008"
        assert "Deployment default/crashing 0/1: main: " in said
        assert "No module named 'encodings'" in said
        assert "Deployment default/nowhere 0/1: cannot be scheduled: " in said
        assert "Insufficient cpu" in said
        status = platform.local("status")
        assert status.code == 1
        assert "default/crashing" in status.text
    finally:
        platform.call("delete", "--wait", objects=[crashing, unschedulable])
