"""`pulumi preview` with the policy pack on the real engine, language host and Kubernetes provider; no cluster.

Proves that what `flameplane plan` records and judges is what the engine gets and does. Cannot prove that an API server
takes it: the provider checks nothing offline (test_engine_up.py does).
"""

from pathlib import Path
from typing import Any

import pytest
from workbench import Done, Workbench

from flameplane import plan
from flameplane.catalog import load_settings

# Put before the program: what someone may have changed in a component, whichever file that component is in.
CHANGED_AGENT = """
import pulumi

def _changed(args):
    if args.type_ == "kubernetes:apps/v1:DaemonSet":
        {change}
    return pulumi.ResourceTransformResult(props=args.props, opts=args.opts)

pulumi.runtime.register_resource_transform(_changed)
"""
PRIVILEGED = "args.props['spec']['template']['spec']['containers'][0]['securityContext']['privileged'] = True"
UNKNOWN = "args.props['spec']['template']['spec']['hostNetwork'] = pulumi.Output.from_input(pulumi.UNKNOWN)"


def mandatory(done: Done) -> set[str]:
    return {event["policyName"] for event in done.of("policyEvent") if event["enforcementLevel"] == "mandatory"}


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


def put_before_program(bench: Workbench, text: str) -> None:
    program = bench.project / "__main__.py"
    docstring, rest = program.read_text().split("\n", 1)
    program.write_text(f"{docstring}\n{text}\n{rest}")


def test_preview_declares_what_plan_records(bench: Workbench, root: Path) -> None:
    done = bench.run("preview")
    assert done.code == 0, done.text
    recording = plan.record(bench.project, "local")
    assert {urn: step["op"] for urn, step in done.resources.items()} == dict.fromkeys(
        (resource.urn for resource in recording.resources), "create"
    )
    compared = 0
    for resource in recording.resources:
        if declared := plan.manifest(resource):
            sent = done.resources[resource.urn]["new"]["inputs"]
            assert sent == as_provider_writes(declared, sent), resource.urn
            compared += 1
    assert compared == len([urn for urn in done.resources if "$kubernetes:" in urn]) > 0


def test_preview_is_judged_as_plan_judges(bench: Workbench) -> None:
    done = bench.run("preview")
    (stack_rules,) = done.of("policyAnalyzeStackSummaryEvent")
    assert stack_rules["policyPackName"] == "flameplane"
    assert len(stack_rules["passed"]) > 0
    findings = plan.evaluate(plan.record(bench.project, "local"), bench.project)
    by_engine = sorted((e["policyName"], e["enforcementLevel"]) for e in done.of("policyEvent"))
    levels = {"error": "mandatory", "warning": "advisory"}
    assert by_engine == sorted((f.id, levels[f.severity]) for f in findings)
    assert mandatory(done) == set()


def test_a_privileged_agent_is_refused_by_name(bench: Workbench) -> None:
    put_before_program(bench, CHANGED_AGENT.format(change=PRIVILEGED))
    done = bench.run("preview")
    assert done.code != 0
    assert mandatory(done) == {"FP003"}, done.text
    assert "unprivileged-workloads" in done.text


def test_without_the_pack_the_same_change_passes(bench: Workbench) -> None:
    put_before_program(bench, CHANGED_AGENT.format(change=PRIVILEGED))
    done = bench.run("preview", pack=False)
    assert done.code == 0, done.text


def test_a_rule_that_meets_an_unknown_blocks(bench: Workbench) -> None:
    """By itself Pulumi reports this as advisory, so that the preview of a pull request would be green."""
    put_before_program(bench, CHANGED_AGENT.format(change=UNKNOWN))
    done = bench.run("preview")
    assert done.code != 0
    assert mandatory(done), done.text
    assert "could not run" in done.text


def test_a_broken_service_file_stops_before_anything_is_registered(bench: Workbench) -> None:
    service = bench.project / "services" / "payments" / "checkout" / "service.yaml"
    service.write_text(service.read_text().replace("profiling:", "profilling:"))
    done = bench.run("preview")
    assert done.code != 0
    assert "services/payments/checkout/service.yaml:" in done.text
    assert "profilling" in done.text
    assert "Traceback" not in done.text
    assert {step["type"] for step in done.resources.values()} <= {"pulumi:pulumi:Stack"}


@pytest.mark.parametrize("stack", ["local", "prod"])
def test_settings_rewritten_by_pulumi_are_still_ours(root: Path, tmp_path: Path, stack: str) -> None:
    """`pulumi stack init` writes its salt into the settings and rewrites the rest; `flameplane` has to read that."""
    bench = Workbench(root, tmp_path, stack).start()
    assert "encryptionsalt" in (bench.project / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    before, after = load_settings(root, stack), load_settings(bench.project, stack)
    assert after.findings == []
    assert after.settings == before.settings is not None


def test_prod_waits_for_locked_images(root: Path, tmp_path: Path) -> None:
    """Until images.lock is filled from a registry, prod is refused, and by this rule alone."""
    done = Workbench(root, tmp_path, "prod").start().run("preview")
    assert mandatory(done) <= {"FP005"}, done.text
    assert (done.code != 0) == bool(mandatory(done))
