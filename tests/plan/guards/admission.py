"""Admission policies: CEL cannot be judged here (tests/cluster/ runs it), so what was reviewed is kept word for word.

After a reviewed change: `python tests/plan/review_admission.py`.
"""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from guards.stack import Guard, Stack
from policies.objects import at, label, name
from policies.rule import Manifest
from schemas.allowed import AGENT_NAMESPACE, INJECTED_LANGUAGES, NAMESPACES, SYSTEM_NAMESPACE
from schemas.reviewed.admission import FOLDER as REVIEWED

GUARD = "flameplane-node-guard"
PLATFORM_GUARDS = ("flameplane-access-guard", "flameplane-namespace-guard", "flameplane-workload-guard")
NAMESPACE = "kubernetes.io/metadata.name"
POLICIES = ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy")


def policies_are_as_reviewed(stack: Stack) -> Iterator[str]:
    found = {name(m): reviewable(m, stack) for m in stack.of(*POLICIES)}
    for expected in sorted(
        {GUARD, *PLATFORM_GUARDS, *(f"flameplane-inject-{language}" for language in INJECTED_LANGUAGES)} | found.keys()
    ):
        file = REVIEWED / f"{expected}.yaml"
        if expected not in found:
            yield f"{expected} is not declared"
        elif not file.is_file() or yaml.safe_load(file.read_text()) != found[expected]:
            yield f"{expected} is not what {file.name} says"


def reviewable(manifest: Manifest, stack: Stack) -> dict[str, Any]:
    """A policy's spec, the same for each environment: images by their names in images.lock."""
    registry, text = stack.settings.images.registry, json.dumps(manifest["spec"])
    for image in sorted(stack.lock.images, key=len, reverse=True):
        text = text.replace(stack.lock.reference(image, registry), f"<{image}>")
    pull = "Never" if registry.startswith("localhost/") else "IfNotPresent"
    text = text.replace(f'imagePullPolicy: \\"{pull}\\"', "imagePullPolicy: <pull policy>")
    return {"kind": manifest["kind"], "spec": json.loads(text)}


def guards_are_bound(stack: Stack) -> Iterator[str]:
    """They refuse (Deny) and leave a trace (Audit), in every namespace that they are about and with no exception."""
    one = {"namespaceSelector": {"matchLabels": {NAMESPACE: AGENT_NAMESPACE}}}
    all_of_them = {"key": NAMESPACE, "operator": "In", "values": list(NAMESPACES)}
    every = {"namespaceSelector": {"matchExpressions": [all_of_them]}}
    expected = {guard: {"policyName": guard, "matchResources": every} for guard in PLATFORM_GUARDS}
    expected[GUARD] = {"policyName": GUARD, "matchResources": one}
    found = {name(m): m["spec"] for m in stack.of("ValidatingAdmissionPolicyBinding")}
    for guard in sorted(expected.keys() | found.keys()):
        if found.get(guard) != {**expected.get(guard, {}), "validationActions": ["Deny", "Audit"]}:
            yield f"{guard} is bound by {found.get(guard)}"


ANCHOR = {
    "policyName": "flameplane-inject-java",
    "paramRef": {"name": "catalog-organisation", "namespace": SYSTEM_NAMESPACE, "parameterNotFoundAction": "Allow"},
    "matchResources": {
        "namespaceSelector": {"matchLabels": {NAMESPACE: SYSTEM_NAMESPACE}},
        "objectSelector": {"matchLabels": {"flameplane.dev/inject-anchor": "never"}},
    },
}


def injection_reaches_declared_pods_only(stack: Stack) -> Iterator[str]:
    """One binding per service that wants an agent whose image can be run, with that service's pods and parameters.

    And one that takes no pod: without any, the API server stops watching parameters for good.
    """
    registry = stack.settings.images.registry
    expected = {"flameplane-inject-anchor": ANCHOR} if stack.settings.injection.enabled else {}
    for service in stack.catalog.services:
        language, workload = service.spec.language.name, service.spec.workload
        if (
            service.injected
            and stack.settings.injection.enabled
            and stack.lock.runnable(f"inject-{language}", registry)
        ):
            parameters = {
                "name": f"inject-{service.name}",
                "namespace": SYSTEM_NAMESPACE,
                "parameterNotFoundAction": "Allow",
            }
            expected[f"flameplane-inject-{service.name}"] = {
                "policyName": f"flameplane-inject-{language}",
                "paramRef": parameters,
                "matchResources": {
                    "namespaceSelector": {"matchLabels": {NAMESPACE: workload.namespace}},
                    "objectSelector": {"matchLabels": workload.selector},
                },
            }
    found = {name(m): m["spec"] for m in stack.of("MutatingAdmissionPolicyBinding")}
    for binding in sorted(expected.keys() | found.keys()):
        if expected.get(binding) != found.get(binding):
            yield f"{binding} is {found.get(binding)}, not {expected.get(binding)}"


def java_agents_hide_secrets(stack: Stack) -> Iterator[str]:
    """Without jfropts=3 each upload carries system properties and the command line, and with them passwords."""
    for manifest in stack.of("ConfigMap"):
        environment = str(at(manifest, "data", "env") or "")
        if "PYROSCOPE_FORMAT=jfr" in environment:
            lines = dict(line.split("=", 1) for line in environment.splitlines())
            if "jfropts=3" not in lines.get("PYROSCOPE_AP_EXTRA_ARGUMENTS", "").split(","):
                yield f"{label(manifest)} lets system properties and command lines out"


GUARDS = (
    Guard(policies_are_as_reviewed, POLICIES),
    Guard(guards_are_bound, ("ValidatingAdmissionPolicyBinding",)),
    Guard(injection_reaches_declared_pods_only, ("MutatingAdmissionPolicyBinding",)),
    Guard(java_agents_hide_secrets, ("ConfigMap",)),
)
