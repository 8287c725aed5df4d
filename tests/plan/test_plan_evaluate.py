"""The driver of the policy pack, with a small pack of its own (projects/pack): one rule per thing a rule can do.

The pack runs as its real process over the real Analyzer protocol. What the project's own rules say is tested elsewhere.
"""

import shutil
from pathlib import Path

import pytest
from plan_project import children, line_of, project

from flameplane.findings import Finding
from flameplane.plan import PackFailed, Recording, evaluate, record

PACK = Path(__file__).parent / "projects" / "pack"
MAIN = """\
import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace

class Part(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("flameplane:foundation:Part", name, {}, pulumi.ResourceOptions(providers=[provider]))
        space = Namespace("space", metadata={"name": "space"}, opts=pulumi.ResourceOptions(parent=self))
        for n in ("declared", "advised", "unknown", "thrown", "thrown-again", "options", "counted", "stack-unknown"):
            uid = space.metadata.uid if n in ("unknown", "stack-unknown") else "known"
            ConfigMap(
                n, metadata={"name": n}, data={"uid": uid},
                opts=pulumi.ResourceOptions(parent=self, protect=n == "options", depends_on=[space]),
            )
        self.register_outputs({})

provider = k8s.Provider("cluster", kubeconfig="/nowhere", context="c")
Part("part")
"""
SERVICE = """\
apiVersion: flameplane.dev/v1
kind: Service
metadata: {name: checkout, team: payments, repository: https://git.example.com/acme/checkout}
spec:
  language: {name: go}
  workload: {namespace: payments, selector: {app: checkout}}
  profiling:
    sampleRateHz: 99
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one declared service and the pack."""
    folder = project(tmp_path_factory.mktemp("judged"), MAIN)
    shutil.copytree(PACK, folder / "policies")
    services = folder / "services"
    (services / "payments" / "checkout").mkdir(parents=True)
    (services / "payments" / "checkout" / "service.yaml").write_text(SERVICE)
    (services / "payments" / "_team.yaml").write_text(
        "apiVersion: flameplane.dev/v1\nkind: Team\n"
        'metadata: {name: payments, slack: "#payments", owners: ["@acme/payments"]}\nspec: {groups: [payments]}\n'
    )
    (services / "_org.yaml").write_text(
        "apiVersion: flameplane.dev/v1\nkind: Organisation\nmetadata: {name: acme}\n"
        "spec: {repositoryHosts: [git.example.com], platformGroups: [platform]}\n"
    )
    return folder


@pytest.fixture(scope="module")
def recording(root: Path) -> Recording:
    """The program's resources."""
    return record(root, "local")


@pytest.fixture(scope="module")
def findings(recording: Recording, root: Path) -> dict[str, list[Finding]]:
    """What the pack says, by rule."""
    found: dict[str, list[Finding]] = {}
    for finding in evaluate(recording, root):
        found.setdefault(finding.id, []).append(finding)
    return found


def _one(findings: dict[str, list[Finding]], rule: str) -> Finding:
    assert len(findings[rule]) == 1
    return findings[rule][0]


def test_every_rule_is_heard(findings: dict[str, list[Finding]]) -> None:
    """Nothing more and nothing less than the pack has to say."""
    assert sorted(findings) == [f"FP90{n}" for n in range(1, 9)]


def test_both_places(findings: dict[str, list[Finding]], root: Path) -> None:
    """A message that ends in [declared: ...] points at that line; the Python call that made the object is beside it."""
    finding = _one(findings, "FP901")
    assert finding.message == "ConfigMap/declared: the rate is too high"
    assert (finding.severity, finding.fix) == ("error", "Lower it.")
    assert finding.location
    service = "services/payments/checkout/service.yaml"
    assert (finding.location.file, finding.location.line) == (service, line_of(root / service, "sampleRateHz"))
    assert [(p.file, p.line) for p in finding.related] == [("__main__.py", line_of(root / "__main__.py", "ConfigMap("))]
    assert finding.subject.endswith("ConfigMap::declared")


def test_without_declaration(findings: dict[str, list[Finding]], root: Path) -> None:
    """Otherwise the Python line is the place; an advisory rule warns."""
    finding = _one(findings, "FP902")
    assert (finding.severity, finding.message) == ("warning", "ConfigMap/advised: better not")
    assert finding.location
    assert (finding.location.file, finding.location.line) == (
        "__main__.py",
        line_of(root / "__main__.py", "ConfigMap("),
    )
    assert finding.related == ()


def test_unknown_values_are_errors(findings: dict[str, list[Finding]]) -> None:
    """Pulumi calls "can't run" advisory; here it is an error that names rule and object, in stack rules too."""
    for rule, name in (("FP903", "unknown"), ("FP908", "stack-unknown")):
        finding = _one(findings, rule)
        assert finding.severity == "error"
        assert finding.message.endswith("could not run: string value at .data.uid can't be known during preview")
        assert finding.subject
        if rule == "FP903":
            assert finding.message.startswith(f"ConfigMap/{name}: ")


def test_throwing_rule_is_named(findings: dict[str, list[Finding]]) -> None:
    """The protocol names no rule; the driver finds out which. It is reported once, and the other rules are heard."""
    finding = _one(findings, "FP904")
    assert finding.severity == "error"
    assert finding.message == (
        "could not run: the rule failed on ConfigMap/thrown: on purpose; nothing further was judged by it"
    )


def test_rules_see_options(findings: dict[str, list[Finding]]) -> None:
    """Options, parent, provider and the engine's environment."""
    assert _one(findings, "FP905").message == (
        "ConfigMap/options: protect=True parent=urn:pulumi:local::tiny::flameplane:foundation:Part::part provider=c "
        "stack=local"
    )


def test_disabled_rule_says_so(findings: dict[str, list[Finding]]) -> None:
    """A rule that is off is not silently off."""
    assert _one(findings, "FP906").severity == "warning"
    assert _one(findings, "FP906").message == "the rule is disabled: About FP906."


def test_stack_rules_see_everything(findings: dict[str, list[Finding]]) -> None:
    """All resources with parents and dependencies; a violation names its resource."""
    assert _one(findings, "FP907").message == "ConfigMap/counted: 8 maps, parent part, after ['space']"


def test_no_process_left(findings: dict[str, list[Finding]]) -> None:
    """The pack serves until it is ended; it was."""
    assert findings
    assert not children()


BROKEN = {
    "raises": ("raise RuntimeError('not today')", "ended with exit code 1", "RuntimeError: not today"),
    "serves nothing": ("", "ended with exit code 0", ""),
    "speaks first": ("print('hello')\nimport time\ntime.sleep(60)", "did not start", ""),
    "dies later": (
        "import os\nfrom pulumi_policy import *\n"
        "PolicyPack('p', [ResourceValidationPolicy('FP1', 'd', lambda a, r: os._exit(7))])",
        "the policy pack failed: UNAVAILABLE",
        "",
    ),
    "remediates": (
        "from pulumi_policy import *\n"
        "PolicyPack('p', [ResourceValidationPolicy('FP1', 'd', validate=lambda a, r: None, "
        "remediate=lambda a: None, enforcement_level=EnforcementLevel.REMEDIATE)])",
        "FP1 remediate: what pulumi would apply is then not what was recorded",
        "",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_pack_is_never_a_pass(case: str, recording: Recording, tmp_path: Path) -> None:
    """A pack that does not start, dies or changes what it judges: an error with the reason."""
    main, *expected = BROKEN[case]
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (tmp_path / "policies" / "__main__.py").write_text(main)
    with pytest.raises(PackFailed) as failed:
        evaluate(recording, tmp_path)
    for part in expected:
        assert part in str(failed.value)
    assert not children()


def test_no_pack(recording: Recording, tmp_path: Path) -> None:
    """No pack, no judgement."""
    with pytest.raises(PackFailed, match=r"there is no policy pack: policies/PulumiPolicy.yaml does not exist"):
        evaluate(recording, tmp_path)
