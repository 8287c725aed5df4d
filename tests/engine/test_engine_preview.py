"""What stops a `pulumi preview`, and what does not: broken declarations, changed components, rewritten settings."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from environments import STACKS
from workbench import Workbench

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
CAPABILITY = (
    "args.props['spec']['template']['spec']['containers'][0]['securityContext']['capabilities']['add'].append('SYSLOG')"
)
UNKNOWN = "args.props['spec']['template']['spec']['hostNetwork'] = pulumi.Output.from_input(pulumi.UNKNOWN)"


def put_before_program(bench: Workbench, text: str) -> None:
    program = bench.project / "__main__.py"
    docstring, rest = program.read_text().split("\n", 1)
    program.write_text(f"{docstring}\n{text}\n{rest}")


def test_a_privileged_agent_is_refused_by_name(bench: Workbench) -> None:
    put_before_program(bench, CHANGED_AGENT.format(change=PRIVILEGED))
    done = bench.run("preview")
    assert done.code != 0
    assert done.mandatory == {"FP015"}, done.text
    assert "never-privileged" in done.text


def waive(bench: Workbench, expires: date) -> None:
    """Let the agent have what rule FP001 refuses."""
    waiver = {
        "rule": "FP001",
        "target": "DaemonSet/flameplane-node/flameplane-node",
        "reason": "Tried on one cluster, to see what the kernel log says of it.",
        "owner": "@jane",
        "approver": "@security",
        "granted": str(expires - timedelta(30)),
        "expires": str(expires),
    }
    (bench.project / "policies" / "waivers.yaml").write_text(yaml.safe_dump({"waivers": [waiver]}))


def test_a_waiver_lets_a_preview_through_and_stays_visible(bench: Workbench) -> None:
    put_before_program(bench, CHANGED_AGENT.format(change=CAPABILITY))
    assert bench.run("preview").mandatory == {"FP001"}
    waive(bench, datetime.now(UTC).date() + timedelta(20))
    done = bench.run("preview")
    assert done.code == 0, done.text
    assert [e["enforcementLevel"] for e in done.of("policyEvent") if e["policyName"] == "FP001-waived"] == ["advisory"]
    assert "approved by @security" in done.text


def test_an_expired_waiver_stops_a_preview(bench: Workbench) -> None:
    put_before_program(bench, CHANGED_AGENT.format(change=CAPABILITY))
    waive(bench, datetime.now(UTC).date() - timedelta(2))
    done = bench.run("preview")
    assert done.code != 0
    assert done.mandatory == {"FP001", "WVR005"}, done.text


def test_without_the_pack_the_same_change_passes(bench: Workbench) -> None:
    put_before_program(bench, CHANGED_AGENT.format(change=PRIVILEGED))
    done = bench.run("preview", pack=False)
    assert done.code == 0, done.text


def test_a_rule_that_meets_an_unknown_blocks(bench: Workbench) -> None:
    """By itself Pulumi reports this as advisory, so that the preview of a pull request would be green."""
    put_before_program(bench, CHANGED_AGENT.format(change=UNKNOWN))
    done = bench.run("preview")
    assert done.code != 0
    assert done.mandatory, done.text
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


@pytest.mark.parametrize("stack", STACKS)
def test_settings_rewritten_by_pulumi_are_still_ours(root: Path, tmp_path: Path, stack: str) -> None:
    """`pulumi stack init` writes its salt into the settings and rewrites the rest; `flameplane` has to read that."""
    bench = Workbench(root, tmp_path, stack).start()
    assert "encryptionsalt" in (bench.project / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    before, after = load_settings(root, stack), load_settings(bench.project, stack)
    assert after.findings == []
    assert after.settings == before.settings is not None
