"""A small policy pack for tests of the driver: one rule per thing a rule can do."""

import os

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
MANDATORY = EnforcementLevel.MANDATORY


def declares(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == CONFIG_MAP and args.props["metadata"]["name"] == "declared":
        report("the rate is too high [declared: service/checkout spec.profiling.sampleRateHz]")


def advises(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == CONFIG_MAP and args.props["metadata"]["name"] == "advised":
        report("better not")


def reads_unknown(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == CONFIG_MAP and args.props["metadata"]["name"] == "unknown":
        str(args.props["data"]["uid"])


def throws(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == CONFIG_MAP and args.props["metadata"]["name"] in ("thrown", "thrown-again"):
        raise ZeroDivisionError("on purpose")


def sees_options(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == CONFIG_MAP and args.props["metadata"]["name"] == "options":
        provider = args.provider.props["context"] if args.provider else "none"
        stack = os.environ["PULUMI_STACK"]
        report(f"protect={args.opts.protect} parent={args.opts.parent} provider={provider} stack={stack}")


def counts(args: StackValidationArgs, report: ReportViolation) -> None:
    maps = [r for r in args.resources if r.resource_type == CONFIG_MAP]
    for r in maps:
        if r.name == "counted":
            parent = r.parent.name if r.parent else "none"
            report(f"{len(maps)} maps, parent {parent}, after {[d.name for d in r.dependencies]}", r.urn)


def stack_unknown(args: StackValidationArgs, report: ReportViolation) -> None:
    for r in args.resources:
        if r.name == "stack-unknown":
            str(r.props["data"]["uid"])


def policy(name: str, check: object, level: EnforcementLevel = MANDATORY, **more: object) -> ResourceValidationPolicy:
    return ResourceValidationPolicy(
        name=name, description=f"About {name}.", validate=check, enforcement_level=level, **more
    )


PolicyPack(
    "test",
    policies=[
        policy("FP901", declares, severity=Severity.HIGH, remediation_steps="Lower it."),
        policy("FP902", advises, EnforcementLevel.ADVISORY),
        policy("FP903", reads_unknown),
        policy("FP904", throws),
        policy("FP905", sees_options),
        policy("FP906", declares, EnforcementLevel.DISABLED),
        StackValidationPolicy(name="FP907", description="Counts.", validate=counts, enforcement_level=MANDATORY),
        StackValidationPolicy(
            name="FP908", description="Unknown.", validate=stack_unknown, enforcement_level=MANDATORY
        ),
    ],
)
