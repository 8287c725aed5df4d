"""Admission policies: what they match, what they demand, what happens when they cannot be evaluated."""

from collections.abc import Iterator

from mutations.edit import Edit, Mutation, Path, appended, each, get, mutating, removed, replaced
from policies.rule import Manifest

POLICIES = ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy")
BINDINGS = ("ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding")


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    if manifest["kind"] in POLICIES:
        yield from mutating(manifest, _policy(manifest))
    if manifest["kind"] in BINDINGS:
        yield from mutating(manifest, _binding(manifest))


def _policy(manifest: Manifest) -> Iterator[Edit]:
    yield "left out", None
    failure: Path = ("spec", "failurePolicy")
    yield from removed(manifest, failure)
    yield from replaced(manifest, failure, "Ignore" if get(manifest, failure) == "Fail" else "Fail")
    yield from _expressions(manifest, ("spec", "validations"))
    yield from _expressions(manifest, ("spec", "variables"))
    yield from _expressions(manifest, ("spec", "matchConditions"))
    yield from appended(manifest, ("spec", "matchConditions"), {"name": "more", "expression": "false"})
    for entry in each(manifest, ("spec", "mutations")):
        yield from removed(manifest, entry)
        for form in ("applyConfiguration", "jsonPatch"):
            if get(manifest, (*entry, form)):
                yield from replaced(manifest, (*entry, form, "expression"), "Object{}")
    yield from removed(manifest, ("spec", "paramKind"))
    yield from replaced(manifest, ("spec", "reinvocationPolicy"), "IfNeeded", "Never")
    constraints: Path = ("spec", "matchConstraints")
    yield from removed(manifest, constraints)
    yield from appended(manifest, (*constraints, "excludeResourceRules"), {"operations": ["*"], "resources": ["pods"]})
    yield from _selectors(manifest, constraints)
    for rule in each(manifest, (*constraints, "resourceRules")):
        yield from removed(manifest, rule)
        for field in ("apiGroups", "apiVersions", "operations", "resources"):
            yield from removed(manifest, (*rule, field))
            yield from replaced(manifest, (*rule, field), ["*"])
            for entry in each(manifest, (*rule, field)):
                yield from removed(manifest, entry)


def _expressions(manifest: Manifest, path: Path) -> Iterator[Edit]:
    for entry in each(manifest, path):
        yield from removed(manifest, entry)
        expression = get(manifest, (*entry, "expression"))
        yield from replaced(manifest, (*entry, "expression"), "true", f"({expression}) || true", f"!({expression})")


def _binding(manifest: Manifest) -> Iterator[Edit]:
    yield "left out", None
    yield from replaced(manifest, ("spec", "policyName"), "other")
    actions: Path = ("spec", "validationActions")
    if get(manifest, actions):
        yield from removed(manifest, actions)
        yield from replaced(manifest, actions, ["Audit"], ["Warn"], ["Deny"])
    yield from removed(manifest, ("spec", "matchResources"))
    yield from _selectors(manifest, ("spec", "matchResources"))
    excluded: Path = ("spec", "matchResources", "excludeResourceRules")
    yield from appended(manifest, excluded, {"operations": ["*"], "resources": ["pods"]})
    yield from removed(manifest, ("spec", "paramRef"))
    for field in ("name", "namespace", "selector", "parameterNotFoundAction"):
        yield from removed(manifest, ("spec", "paramRef", field))


def _selectors(manifest: Manifest, path: Path) -> Iterator[Edit]:
    for selector in ("namespaceSelector", "objectSelector"):
        yield from removed(manifest, (*path, selector))
        yield from replaced(manifest, (*path, selector), {"matchLabels": {"other": "true"}})
        for key in get(manifest, (*path, selector, "matchLabels")) or {}:
            yield from replaced(manifest, (*path, selector, "matchLabels", key), "other")
        for entry in each(manifest, (*path, selector, "matchExpressions")):
            yield from removed(manifest, entry)
            yield from replaced(manifest, (*entry, "operator"), "NotIn", "Exists")
            yield from replaced(manifest, (*entry, "values"), ["other"])
