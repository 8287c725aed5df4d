"""Turns rules into Pulumi policies, and closes two holes of Pulumi's own handling (measured on pulumi-policy 1.21).

A check that touches a value not known before apply makes Pulumi report an *advisory* "can't run policy", whatever the
policy's level: a green preview then proves nothing. A check that throws ends the call with no policy named. Here both
are violations of the rule itself that begin with "could not run", and they block.

Each rule is one policy, so that a violation carries its rule's id. Pulumi reads all resources again for each stack
policy: benchmarks/plan.md says what that costs. A rule with waivers gets a second, advisory policy `<id>-waived` that
reports what they cover; what is wrong with waivers is reported by policies `WVR###`. Without waivers there are none of
these, so they cost nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policies import applied, resources
from policies.rule import Manifest, Rule, Unreadable, Violation
from policies.waivers import MARK, SUFFIX, UNUSED, Waivers
from schemas.waivers import TEXTS, WARNINGS, Problem

COULD_NOT_RUN = "could not run"
DOCS = "docs/policies.md"

Report = Callable[[str, str | None], None]
_INPUTS: dict[str, Manifest] = {}  # of each resource by URN: what it was declared with in this run


def policies(rule: Rule, waivers: Waivers = Waivers()) -> list[Policy]:  # noqa: B008  frozen
    """The Pulumi policies of one rule: one; for a warning a second that blocks when the rule could not run; and one
    that reports what is waived."""
    if rule.severity == "error":
        found = [_policy(rule, rule.id, EnforcementLevel.MANDATORY, waivers, {"violations", "failures"})]
    else:
        found = [
            _policy(rule, rule.id, EnforcementLevel.ADVISORY, waivers, {"violations"}),
            _policy(rule, f"{rule.id}-ran", EnforcementLevel.MANDATORY, waivers, {"failures"}),
        ]
    if waivers.of(rule):
        found.append(_policy(rule, f"{rule.id}{SUFFIX}", EnforcementLevel.ADVISORY, waivers, {"waived"}))
    return found


def waiver_policies(rules: Sequence[Rule], waivers: Waivers) -> list[Policy]:
    """The policies that report what is wrong with waivers; none where nothing can be."""
    problems = {
        number: list(of) for number, of in groupby(sorted(waivers.file.problems, key=lambda p: p.id), lambda p: p.id)
    }
    if waivers.file.live:
        problems.setdefault(UNUSED, [])
    waived = [rule for rule in rules if waivers.of(rule)]
    return [_waiver_policy(number, of, waived, waivers) for number, of in problems.items()]


def _waiver_policy(number: str, problems: Sequence[Problem], waived: Sequence[Rule], waivers: Waivers) -> Policy:
    title, fix = TEXTS[number]

    def check(args: StackValidationArgs, report: ReportViolation) -> None:
        for problem in problems:
            report(str(problem), None)
        if number == UNUSED:
            for problem in waivers.unused(_found(waived, args), _stack(args)):
                report(str(problem), None)

    return StackValidationPolicy(
        name=number,
        display_name=title,
        description=f"{title}.",
        enforcement_level=EnforcementLevel.ADVISORY if number in WARNINGS else EnforcementLevel.MANDATORY,
        severity=Severity.LOW if number in WARNINGS else Severity.HIGH,
        remediation_steps=fix,
        url=f"{DOCS}#waivers",
        validate=check,
    )


def _found(rules: Sequence[Rule], args: StackValidationArgs) -> Iterator[tuple[Rule, Violation, str | None]]:
    """What rules find in a stack. One that cannot run says so itself; here it has found nothing."""
    manifests = _manifests(args)
    for rule in rules:
        batches = [manifests] if rule.scope == "stack" else [{urn: m} for urn, m in manifests.items()]
        for batch in batches:
            with suppress(Exception):  # the rule's own policy names it
                yield from ((rule, v, urn) for v, urn in _violations(rule, batch))


@dataclass(frozen=True)
class _Reports:
    """Where a policy reports to; what it is not about goes nowhere."""

    violation: Report
    failure: Report
    waived: Report


def _policy(rule: Rule, name: str, level: EnforcementLevel, waivers: Waivers, about: set[str]) -> Policy:
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
        _judge(
            rule,
            manifests,
            waivers,
            _Reports(*(report if what in about else _ignore for what in ("violations", "failures", "waived"))),
        )

    if rule.scope == "stack":

        def stack(args: StackValidationArgs, report: ReportViolation) -> None:
            judge(_manifests(args, about=resources.RESOURCE in rule.kinds), report)

        return StackValidationPolicy(validate=stack, **common)

    def resource(args: ResourceValidationArgs, report: ReportViolation) -> None:
        manifest = _manifest(args)
        if manifest is not None:
            _INPUTS[args.urn] = manifest
        judge({args.urn: manifest} if manifest is not None else {}, report)

    return ResourceValidationPolicy(validate=resource, **common)


def _manifest(args: ResourceValidationArgs | PolicyResource) -> Manifest | None:
    return resources.manifest(args.resource_type, args.name, args.props, protect=bool(args.opts.protect))


def _declared(args: PolicyResource) -> Manifest | None:
    """A resource of a whole stack as it was declared. Pulumi hands it over as it is after apply, with every default of
    the server, and what was declared before, to the rules about single objects; not for what `--target` leaves out."""
    if args.urn in _INPUTS:
        return _INPUTS[args.urn]
    manifest = _manifest(args)
    with suppress(UnknownValueError):  # before apply nothing was filled in
        return manifest and applied.declared(manifest)
    return manifest


def _about(args: PolicyResource) -> Manifest | None:
    opts, provider = args.opts, args.provider.urn if args.provider else None
    lists = {"ignoreChanges": opts.ignore_changes, "aliases": opts.aliases}
    timeouts = opts.custom_timeouts
    waits = any((timeouts.create_seconds, timeouts.update_seconds, timeouts.delete_seconds)) if timeouts else False
    options = {
        "protect": bool(opts.protect),
        "deleteBeforeReplace": bool(opts.delete_before_replace),
        "customTimeouts": waits,
        **{key: list(values or ()) for key, values in lists.items()},
    }
    return resources.resource(args.urn, args.props, options, provider)


def _manifests(args: StackValidationArgs, *, about: bool = False) -> dict[str, Manifest]:
    """All of a stack by URN, and its settings. ``about``: what Pulumi knows of the resources, not what they are."""
    found = {r.urn: m for r in args.resources if (m := (_about(r) if about else _declared(r))) is not None}
    settings = resources.settings(_stack(args), pulumi.runtime.get_config_env())
    return found | ({"": settings} if settings else {})


def _stack(args: StackValidationArgs) -> str:
    """Name of the stack: the second part of every URN."""
    return args.resources[0].urn.split(":")[2] if args.resources else ""


def _judge(rule: Rule, manifests: Mapping[str, Manifest], waivers: Waivers, reports: _Reports) -> None:
    """Run the check over manifests by URN. Violations found before it stops still count."""
    whole = next(iter(manifests)) if len(manifests) == 1 else None
    try:
        for violation, urn in _violations(rule, manifests):
            if waiver := waivers.covering(rule, violation, urn):
                reports.waived(f"{violation}{MARK}{waiver}]", urn)
            else:
                reports.violation(str(violation), urn)
    except Unreadable:  # rule FP059 says so
        return
    except UnknownValueError as unknown:
        reports.failure(
            f"{COULD_NOT_RUN}: {unknown.message}; {rule.id} ({rule.name}) reads it, so it has to be known before apply",
            whole,
        )
    except Exception as error:  # a rule of ours that is broken must be named and must block, whatever it raised
        what = f"{type(error).__name__}: {error}"
        reports.failure(f"{COULD_NOT_RUN}: {rule.id} ({rule.name}) failed with {what}; the rule has to be fixed", whole)


def _violations(rule: Rule, manifests: Mapping[str, Manifest]) -> Iterator[tuple[Violation, str | None]]:
    """What a check finds, each with the URN of the resource at fault."""
    urns = {id(manifest): urn for urn, manifest in manifests.items() if urn}
    whole = next(iter(urns.values())) if len(urns) == 1 else None
    if applicable := rule.applicable(manifests.values()):
        for violation in rule.check(applicable):
            yield violation, urns.get(id(violation.manifest), whole)


def _ignore(_message: str, _urn: str | None) -> None:
    """Stands in for the callback of what this policy does not report."""
