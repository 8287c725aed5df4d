"""Turns rules into Pulumi policies, and closes two holes of Pulumi's own handling (measured on pulumi-policy 1.21).

A check that touches a value not known before apply makes Pulumi report an *advisory* "can't run policy", whatever the
policy's level: a green preview then proves nothing. A check that throws ends the call with no policy named. Here both
are violations of the rule itself that begin with "could not run", and they block.

Each rule is one policy, so that a violation carries its rule's id. Pulumi reads all resources again for each stack
policy: 1.5 s for 2,000 resources and the nine there are, beside 2.0 s for all rules on single objects (measured).
"""

from collections.abc import Callable, Mapping
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policies.rule import Manifest, Rule

COULD_NOT_RUN = "could not run"
DOCS = "docs/policies.md"
HELM_RELEASE = "kubernetes:helm.sh/v3:Release"  # the one kubernetes: type that is no object: it hides those it makes


def policies(rule: Rule) -> list[Policy]:
    """The Pulumi policies of one rule: one, and for a warning a second that blocks when the rule could not run."""
    if rule.severity == "error":
        return [_policy(rule, rule.id, EnforcementLevel.MANDATORY, violations=True, failures=True)]
    return [
        _policy(rule, rule.id, EnforcementLevel.ADVISORY, violations=True, failures=False),
        _policy(rule, f"{rule.id}-ran", EnforcementLevel.MANDATORY, violations=False, failures=True),
    ]


def _policy(rule: Rule, name: str, level: EnforcementLevel, *, violations: bool, failures: bool) -> Policy:
    common: Mapping[str, Any] = {
        "name": name,
        "display_name": rule.name,
        "description": f"{rule.name}: {rule.why}",
        "enforcement_level": level,
        "severity": Severity.HIGH if rule.severity == "error" else Severity.LOW,
        "remediation_steps": rule.remediation,
        "url": f"{DOCS}#{rule.id.lower()}",
    }

    def judge(manifests: Mapping[str, Manifest], report: ReportViolation) -> None:
        _judge(rule, manifests, report if violations else _ignore, report if failures else _ignore)

    if rule.scope == "stack":

        def stack(args: StackValidationArgs, report: ReportViolation) -> None:
            judge({r.urn: r.props for r in args.resources if r.resource_type.startswith("kubernetes:")}, report)

        return StackValidationPolicy(validate=stack, **common)

    def resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type == HELM_RELEASE:
            judge({args.urn: {"kind": "Release", "metadata": {"name": args.name}}}, report)
        elif args.resource_type.startswith("kubernetes:"):
            judge({args.urn: args.props}, report)

    return ResourceValidationPolicy(validate=resource, **common)


def _judge(
    rule: Rule,
    manifests: Mapping[str, Manifest],
    violation: Callable[[str, str | None], None],
    failure: Callable[[str, str | None], None],
) -> None:
    """Run the check over manifests by URN. Violations found before it stops still count."""
    urns = {id(manifest): urn for urn, manifest in manifests.items()}
    whole = next(iter(urns.values())) if len(urns) == 1 else None
    try:
        applicable = rule.applicable(manifests.values())
        if not applicable:
            return
        for v in rule.check(applicable):
            violation(str(v), urns.get(id(v.manifest), whole))
    except UnknownValueError as unknown:
        failure(
            f"{COULD_NOT_RUN}: {unknown.message}; {rule.id} ({rule.name}) reads it, so it has to be known before apply",
            whole,
        )
    except Exception as error:  # a rule of ours that is broken must be named and must block, whatever it raised
        what = f"{type(error).__name__}: {error}"
        failure(f"{COULD_NOT_RUN}: {rule.id} ({rule.name}) failed with {what}; the rule has to be fixed", whole)


def _ignore(_message: str, _urn: str | None) -> None:
    """Stands in for the callback of what this policy does not report."""
