"""The pack as Pulumi runs it: its own process, over the Analyzer protocol.

Proves that the pack starts from anywhere, serves every rule with a level that blocks, finds over the wire what the
rules find in this process, and that neither an unknown value nor a broken rule can pass. It cannot prove what the
engine sends on a real `up` (outputs of the provider): the engine tier does.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from corpus import fixtures
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from flameplane.plan import UNKNOWN, Recording, Resource, evaluate
from policies.rule import run
from policies.rules import RULES


@contextmanager
def started(folder: Path, cwd: Path) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack started as Pulumi's language host does, but from ``cwd`` and with nothing of ours on the path."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(folder)]
    with subprocess.Popen(command, cwd=cwd, env={"PATH": ""}, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = process.stdout.readline().strip()
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.terminate()


def recording(*manifests: dict[str, Any]) -> Recording:
    return Recording("flameplane", "test", "organization", {}, tuple(resource(m) for m in manifests))


def resource(manifest: dict[str, Any]) -> Resource:
    group, _, version = manifest["apiVersion"].rpartition("/")
    kind, metadata = manifest["kind"], manifest["metadata"]
    token = f"kubernetes:{group or 'core'}/{version}:{kind}"
    name = "/".join(metadata[key] for key in ("namespace", "name") if key in metadata)
    return Resource(f"urn:pulumi:test::flameplane::{token}::{name}", token, name, True, manifest, outputs=manifest)


def wire(manifest: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(manifest)
    return struct


def judged(stub: analyzer_pb2_grpc.AnalyzerStub, manifests: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """(policy, message) of all policies, each resource by itself and then the stack."""
    resources = [resource(m) for m in manifests]
    answers = [
        stub.Analyze(analyzer_pb2.AnalyzeRequest(type=r.type, urn=r.urn, name=r.name, properties=wire(r.inputs)))
        for r in resources
    ]
    whole = [
        analyzer_pb2.AnalyzerResource(type=r.type, urn=r.urn, name=r.name, properties=wire(r.inputs)) for r in resources
    ]
    answers.append(stub.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=whole)))
    return [(d.policyName, d.message.removeprefix(f"{d.description}\n")) for a in answers for d in a.diagnostics]


@pytest.mark.parametrize("where", ["elsewhere", "its own folder"])
def test_runs_from_any_folder(where: str, root: Path, tmp_path: Path) -> None:
    with started(root / "policies", tmp_path if where == "elsewhere" else root / "policies") as stub:
        info = stub.GetAnalyzerInfo(empty_pb2.Empty())
    levels = {p.name: p.enforcementLevel for p in info.policies}
    for rule in RULES:
        blocks = rule.id if rule.severity == "error" else f"{rule.id}-ran"
        assert levels.pop(blocks) == analyzer_pb2.MANDATORY
        if rule.severity == "warning":
            assert levels.pop(rule.id) == analyzer_pb2.ADVISORY
    assert levels == {}


def test_finds_over_the_wire_what_the_rules_find(root: Path, tmp_path: Path) -> None:
    with started(root / "policies", tmp_path) as stub:
        for fixture in [*fixtures(fires=True), *fixtures(fires=False)]:
            if fixture.of_prod:
                continue  # test_bad_changes.py
            here = [(rule.id, str(violation)) for rule, violation in run(RULES, fixture.manifests())]
            assert sorted(judged(stub, fixture.manifests())) == sorted(here), str(fixture)


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


def test_unknown_value_fails_each_rule_that_reads_it(root: Path) -> None:
    """Pulumi itself would say so in an advisory. Rules that do not read the image are not disturbed."""
    manifest = next(f for f in fixtures(fires=True) if str(f) == "FP003/fire/hostpid").manifests()[0]
    container(manifest)["image"] = UNKNOWN
    findings = evaluate(recording(manifest), root)
    failed = {f.id: f for f in findings if "could not run" in f.message}
    assert failed.keys() == {"FP005", "FP013"}
    assert all(f.severity == "error" and "spec.template.spec.containers.0.image" in f.message for f in failed.values())
    assert {f.id for f in findings} == {"FP003", "FP005", "FP013"}


def test_unknown_value_fails_a_stack_rule(root: Path) -> None:
    manifests = next(f for f in fixtures(fires=False) if str(f) == "FP006/dont-fire/named-peers").manifests()
    manifests[-1]["spec"]["egress"][0]["to"][0]["ipBlock"]["cidr"] = UNKNOWN
    findings = evaluate(recording(*manifests), root)
    assert {(f.id, f.severity) for f in findings} == {(rule, "error") for rule in ("FP006", "FP032", "FP048")}
    (finding,) = [f for f in findings if f.id == "FP006"]
    assert "could not run" in finding.message and "spec.egress.0.to.0.ipBlock.cidr" in finding.message
    assert finding.subject.endswith("NetworkPolicy::flameplane-backend/pyroscope")


def test_a_helm_release_cannot_hide_what_it_installs(root: Path) -> None:
    token = "kubernetes:helm.sh/v3:Release"
    release = Resource(f"urn:pulumi:test::flameplane::{token}::loki", token, "loki", True, {"chart": "loki"})
    (finding,) = evaluate(Recording("flameplane", "test", "organization", {}, (release,)), root)
    assert (finding.id, finding.severity) == ("FP003", "error")
    assert "Release/loki hides what it installs" in finding.message


BROKEN_PACK = """
import sys

sys.path.insert(0, {root!r})

from pulumi_policy import PolicyPack

from policies.adapter import policies
from policies.rule import Rule, Violation


def broken(manifests):
    yield Violation("found before it broke", manifests[0])
    raise KeyError("securityContext")


def works(manifests):
    yield Violation("found", manifests[-1])


def rule(id, check, scope="object", severity="error"):
    return Rule(id, f"rule-{{id}}", "Why.", "Fix.", ("Service",), check, severity, scope)


rules = [rule("FP901", broken), rule("FP902", broken, "stack"), rule("FP904", works)]
rules.append(rule("FP903", broken, "object", "warning"))
PolicyPack("broken", [p for r in rules for p in policies(r)])
"""


def test_a_rule_that_throws_is_named_and_blocks(root: Path, tmp_path: Path) -> None:
    pack = tmp_path / "policies"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (pack / "__main__.py").write_text(BROKEN_PACK.format(root=str(root)))
    service = next(f for f in fixtures(fires=False) if str(f) == "FP007/dont-fire/cluster-ip").manifests()[0]
    findings = evaluate(recording(service), tmp_path)
    failed = {f.id: f for f in findings if "could not run" in f.message}
    assert failed.keys() == {"FP901", "FP902", "FP903"}
    assert all(
        f.severity == "error" and f"({f'rule-{i}'})" in f.message and "KeyError" in f.message for i, f in failed.items()
    )
    found = {(f.id, f.severity) for f in findings if "could not run" not in f.message}
    assert found == {("FP901", "error"), ("FP902", "error"), ("FP903", "warning"), ("FP904", "error")}
