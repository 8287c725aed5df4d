"""What the API server itself holds: Pod Security levels, and the admission policies between them."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.admission import KINDS, unlike
from policies.objects import at, breaks, items, name, texts
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules.images import in_expressions
from schemas.allowed import AGENT_NAMESPACE, NAMESPACES

POLICY: Final = "ValidatingAdmissionPolicy"
BINDING: Final = "ValidatingAdmissionPolicyBinding"
# The guards of the whole platform (components/agent_guard.py, components/platform_guard.py).
GUARDS: Final = tuple(f"flameplane-{of}-guard" for of in ("access", "namespace", "node", "workload"))
LABEL: Final = "pod-security.kubernetes.io/"
LEVELS: Final = ("privileged", "baseline", "restricted")
MODES: Final = ("enforce", "warn", "audit")
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"


def _levels(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        labels = at(manifest, "metadata", "labels") or {}
        enforced, wanted = labels.get(f"{LABEL}enforce"), NAMESPACES.get(name(manifest))
        if wanted is not None and enforced != wanted:
            yield breaks(manifest, f"enforces Pod Security {enforced or 'nothing'}; it must be {wanted}")
        elif wanted is None and enforced not in (None, *LEVELS[1:]):
            yield breaks(manifest, f"enforces Pod Security {enforced}; only {AGENT_NAMESPACE} may be privileged")
        # What baseline would refuse of the agent's namespace is on record, though it is let in.
        told = {"warn": wanted, "audit": LEVELS[1] if wanted == LEVELS[0] else wanted}
        for mode, level in told.items() if wanted is not None else ():
            if (found := labels.get(f"{LABEL}{mode}")) != level:
                yield breaks(manifest, f"has Pod Security {found or 'nothing'} for {mode}; it must be {level}")
        for mode in MODES:
            if (version := labels.get(f"{LABEL}{mode}-version", "latest")) != "latest":
                yield breaks(manifest, f"has Pod Security of {version} for {mode}, not the latest")


def _as_reviewed(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """One finding per object: what can be said of it in words, else where it differs from what was reviewed."""
    blamed = set()
    for violation in _bound(manifests):
        blamed.add(id(violation.manifest))
        yield violation
    images = {id(v.manifest) for v in in_expressions(manifests)}  # rule FP005 says it
    for violation in unlike(manifests):
        if violation.manifest is None or id(violation.manifest) not in blamed | images:
            yield violation


def _bound(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    policies = [m for m in manifests if m.get("kind") == POLICY]
    bindings = [m for m in manifests if m.get("kind") == BINDING]
    for policy in policies:
        if (at(policy, "spec", "failurePolicy") or "Fail") != "Fail":
            yield breaks(policy, "lets through what it cannot evaluate (failurePolicy)")
        if not items(at(policy, "spec", "validations")):
            yield breaks(policy, "demands nothing (validations)")
        if not any(at(b, "spec", "policyName") == name(policy) for b in bindings):
            yield breaks(policy, "is bound by nothing: it has no effect")
    for binding in bindings:
        if "Deny" not in texts(at(binding, "spec", "validationActions")):
            yield breaks(binding, "does not refuse (validationActions has no Deny)")
        if not any(name(p) == at(binding, "spec", "policyName") for p in policies):
            yield breaks(binding, f"binds {at(binding, 'spec', 'policyName')}, which is not declared")
        for field in ("objectSelector", "excludeResourceRules"):
            if at(binding, "spec", "matchResources", field):
                yield breaks(binding, f"leaves some objects out ({field})")
    yield from _left_out(manifests)
    held = {namespace for b in bindings if _judges_pods(b, policies) for namespace in _namespaces(b)}
    for manifest in manifests:
        ours = manifest.get("kind") == "Namespace" and name(manifest) == AGENT_NAMESPACE
        if ours and policies + bindings and AGENT_NAMESPACE not in held:
            yield breaks(manifest, "is privileged for Pod Security, and no admission policy of pods holds it")


def _left_out(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """An environment with any namespace of the platform needs all of them, and every guard."""
    kinds = ("Namespace", POLICY, SETTINGS)
    spaces, policies, settings = ({name(m) for m in manifests if m.get("kind") == kind} for kind in kinds)
    if not settings or not spaces & NAMESPACES.keys():
        return
    missing = [f"Namespace/{n}" for n in NAMESPACES if n not in spaces]
    missing += [f"{POLICY}/{n}" for n in GUARDS if n not in policies]
    for left_out in missing:
        yield Violation(f"{left_out} is not declared: nothing holds what it was about")


def _judges_pods(binding: Manifest, policies: Sequence[Manifest]) -> bool:
    """Whether it is about all that a pod asks for: when it is made, and when it is changed."""
    whole = {"CREATE", "UPDATE"}
    for policy in policies:
        if name(policy) == at(binding, "spec", "policyName"):
            rules = items(at(policy, "spec", "matchConstraints", "resourceRules"))
            return any("pods" in texts(r.get("resources")) and whole <= set(texts(r.get("operations"))) for r in rules)
    return False


def _namespaces(binding: Manifest) -> list[str]:
    selector = at(binding, "spec", "matchResources", "namespaceSelector") or {}
    if labels := selector.get("matchLabels"):
        return [str(labels.get(NAMESPACE_LABEL))] if len(labels) == 1 else []
    expressions = items(selector.get("matchExpressions"))
    if not expressions:
        return list(NAMESPACES)
    if (
        len(expressions) == 1
        and expressions[0].get("key") == NAMESPACE_LABEL
        and expressions[0].get("operator") == "In"
    ):
        return texts(expressions[0].get("values"))
    return []


RULES: Final = (
    Rule(
        id="FP040",
        name="pod-security-level",
        why="Pod Security is what holds pods that were not made here: by hand, by an operator, by an attacker.",
        remediation="Label each namespace as `NAMESPACES` in schemas/allowed.py says, in all three modes, without a "
        "version.",
        kinds=("Namespace",),
        check=_levels,
    ),
    Rule(
        id="FP041",
        name="admission-guard",
        why="The agent's namespace is privileged for Pod Security; what that lets in is kept out by an admission "
        "policy, if it refuses. What is injected into applications is held to what was reviewed, word for word.",
        remediation="Keep the guards of components/agent_guard.py and components/platform_guard.py, and the injection "
        "of components/inject_policy.py, as schemas/reviewed/admission/ has them: failurePolicy Fail, bound with Deny, "
        "no exceptions. After a change that is meant: `python tests/plan/review_admission.py`, for review.",
        kinds=("Namespace", "ConfigMap", *KINDS, SETTINGS),
        check=_as_reviewed,
        scope="stack",
    ),
)
