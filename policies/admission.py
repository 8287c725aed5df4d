"""Admission policies and bindings beside those that were reviewed (schemas/reviewed/admission/), word for word.

CEL cannot be judged here, so a demand that is weaker looks like any other: every difference is one. Of each object the
first is told, which is where to look.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.compare import differences
from policies.context import platform
from policies.declared import Document, read, told
from policies.objects import at, breaks, items, name, texts
from policies.resources import SETTINGS
from policies.rule import Manifest, Violation
from schemas.allowed import EBPF_TYPES, INJECTED_LANGUAGES, NAMESPACES
from schemas.reviewed import admission as reviewed
from schemas.reviewed.elsewhere import near

VALIDATING, MUTATING = "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"
BINDINGS: Final = {f"{VALIDATING}Binding": VALIDATING, f"{MUTATING}Binding": MUTATING}
KINDS: Final = (VALIDATING, MUTATING, *BINDINGS)
OURS: Final = "flameplane-"
# A reference to an image: its registry and digest are rule FP005's to judge.
_IMAGES: Final = {
    image: re.compile(rf'[^"\s]*/{image}(@sha256:[0-9a-f]+|:[\w.-]+)?(?=["\s]|$)') for image in reviewed.IMAGES
}
OPEN: Final = ":not-locked"
SHOWN: Final = 4  # namespaces in a message


def unlike(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """What differs, in an environment of the platform: one that has settings and any of its namespaces."""
    settings = next((m for m in manifests if m.get("kind") == SETTINGS), None)
    spaces = {name(m) for m in manifests if m.get("kind") == "Namespace"}
    if settings is None or not spaces & NAMESPACES.keys():
        return
    found = {(str(m.get("kind")), name(m)): m for m in manifests if m.get("kind") in KINDS}
    wanted = _wanted(manifests, settings, found)
    for key, spec in wanted.items():
        if key not in found and not _told_elsewhere(key):
            yield Violation(f"{'/'.join(key)} is not declared: nothing holds what it was about")
        elif key in found:
            yield from _differs(found[key], spec)
    bound = {(BINDINGS[kind], str(at(m, "spec", "policyName"))) for (kind, _), m in found.items() if kind in BINDINGS}
    # Of services that the agents know and nobody declares, rules FP008 and FP011 speak.
    left_out = told(manifests).keys() - {service.name for service in read(manifests).services}
    known = _known(manifests)
    for key in (k for k in found.keys() - wanted.keys() if k[1].removeprefix("flameplane-inject-") not in left_out):
        yield from _foreign(found[key], key in bound, known)


def _told_elsewhere(key: tuple[str, str]) -> bool:
    """Guards of the whole platform and their bindings are missed by name (policies/rules/guards.py)."""
    return key[1] in reviewed.GUARDS


def _wanted(
    manifests: Sequence[Manifest], settings: Manifest, found: Mapping[tuple[str, str], Manifest]
) -> dict[tuple[str, str], Any]:
    """(kind, name) -> spec, of everything that this environment has to declare."""
    registry = str(at(settings, "spec", "images", "registry") or "")
    pull = "Never" if registry.startswith("localhost/") else "IfNotPresent"
    wanted: dict[tuple[str, str], Any] = {}
    injecting = at(settings, "spec", "injection", "enabled") is not False
    for policy, document in reviewed.policies().items():
        if policy in reviewed.GUARDS or injecting:
            wanted[(document["kind"], policy)] = _with(document["spec"], {reviewed.PULL_POLICY: f'"{pull}"'})
    wanted |= {(f"{VALIDATING}Binding", guard): spec for guard, spec in reviewed.GUARDS.items()}
    if injecting:
        wanted[(f"{MUTATING}Binding", reviewed.ANCHOR)] = reviewed.ANCHORED
        for service in read(manifests).services:
            language = str(service.get("spec.language.name"))
            by = found.get((MUTATING, f"flameplane-inject-{language}"))
            if _injected(service) and by is not None and OPEN not in str(_plain(by.get("spec"))):
                selector = {str(k): str(v) for k, v in (service.get("spec.workload.selector") or {}).items()}
                where = str(service.get("spec.workload.namespace"))
                spec = reviewed.injection(service.name, language, where, selector)
                wanted[(f"{MUTATING}Binding", f"flameplane-inject-{service.name}")] = spec
    return wanted


def _injected(service: Document) -> bool:
    """Whether an agent goes into the pods: the language has one, and a type or the CPU source asks for it."""
    if service.get("spec.language.name") not in INJECTED_LANGUAGES or not service.get("spec.profiling.sampleRateHz"):
        return False
    beyond = set(texts(service.get("spec.profiling.types"))) - set(EBPF_TYPES)
    return bool(beyond) or service.get("spec.profiling.cpuSource") == "agent"


def _differs(manifest: Manifest, wanted: Any) -> Iterator[Violation]:
    spec = _with(_plain(manifest.get("spec")), {pattern: f"<{image}>" for image, pattern in _IMAGES.items()})
    for difference in differences({"spec": spec}, {"spec": wanted}):
        yield breaks(manifest, f"is not what was reviewed: it {difference} (schemas/reviewed/admission)")
        return


def _foreign(manifest: Manifest, bound: bool, known: Sequence[str]) -> Iterator[Violation]:
    """What no file describes: under our names, by our policies, or about our pods and those of teams."""
    kind, policy = str(manifest.get("kind")), str(at(manifest, "spec", "policyName"))
    if name(manifest).startswith(OURS):
        yield breaks(manifest, "was not reviewed: no file in schemas/reviewed/admission and no service asks for it")
    elif kind in BINDINGS and policy.startswith(OURS):
        yield breaks(manifest, f"binds {policy} beside its own bindings")
    elif kind in BINDINGS and (reached := _reached(manifest, known)):
        where = ", ".join(reached[:SHOWN]) + (f" and {more} more" if (more := len(reached) - SHOWN) > 0 else "")
        if BINDINGS[kind] == MUTATING:
            yield breaks(manifest, f"may change what is made in {where}: nothing that was not reviewed does")
        else:
            yield breaks(manifest, f"may refuse what is made in {where}: nothing of it would start")
    elif kind == MUTATING and not bound:
        yield breaks(manifest, "is bound by nothing here: whoever binds it changes pods by it")


def _reached(binding: Manifest, known: Sequence[str]) -> list[str]:
    """The namespaces of the platform, of teams and of the cluster itself that a binding selects; all, unless it names
    others."""
    selector = at(binding, "spec", "matchResources", "namespaceSelector") or {}
    named = [str(v) for k, v in (selector.get("matchLabels") or {}).items() if k == reviewed.NAMESPACE_LABEL]
    left_out: list[str] = []
    for expression in items(selector.get("matchExpressions")):
        if expression.get("key") == reviewed.NAMESPACE_LABEL:
            named += texts(expression.get("values")) if expression.get("operator") == "In" else []
            left_out += texts(expression.get("values")) if expression.get("operator") == "NotIn" else []
    if not named:
        return [n for n in known if n not in left_out]
    return [n for n in (*known, *(n for n in named if n.startswith("kube-") and n not in known)) if n in named]


def _known(manifests: Sequence[Manifest]) -> list[str]:
    """Namespaces whose objects are none of a foreign policy's business."""
    others = near(found.settings, found.catalog) if (found := platform(manifests)) else set()
    return [*NAMESPACES, *sorted({*others, "kube-system"})]


def _with(value: Any, replacements: Mapping[Any, str]) -> Any:
    """A document with other words in its texts. Keys: texts, or patterns."""
    if isinstance(value, Mapping):
        return {key: _with(below, replacements) for key, below in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_with(below, replacements) for below in value]
    if isinstance(value, str):
        for old, new in replacements.items():
            value = value.replace(old, new) if isinstance(old, str) else old.sub(new, value)
    return value


def _plain(value: Any) -> Any:
    """A document without proxies."""
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items() if below is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(below) for below in value]
    return value
