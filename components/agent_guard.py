"""The admission policy that holds the agent's namespace: the level that Pod Security does not have.

The namespace is `privileged` for Pod Security, since nothing between that and `baseline` exists. What that would let in
is kept out here, by the API server itself, from the table (``schemas.allowed``) of DaemonSet and policy pack.
"""

import json
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import (
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    ValidationArgsDict,
    VariableArgsDict,
)

from components.base import Component
from components.network import NAMESPACE_LABEL
from components.node_agent_pod import AGENT_NAME, PINS_HOST_PATH, RECEIVER_UID, SECCOMP_HOST_PATH, SECCOMP_PROFILE
from components.pods import Images
from schemas.allowed import AGENT_CAPABILITIES, AGENT_NAMESPACE, AGENT_UID

NAME: Final = "flameplane-node-guard"


@dataclass(frozen=True)
class AgentGuardArgs:
    """The images whose containers may run in the namespace."""

    images: Images


class AgentGuard(Component):
    """ValidatingAdmissionPolicy and its binding. What cannot be evaluated is refused (failurePolicy Fail)."""

    def __init__(self, name: str, args: AgentGuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("collection", "AgentGuard", name, opts)
        policy = ValidatingAdmissionPolicy(
            NAME,
            metadata=self.metadata(NAME),
            spec={
                "failure_policy": "Fail",
                "match_constraints": {
                    "resource_rules": [
                        {
                            "api_groups": [""],
                            "api_versions": ["v1"],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": ["pods", "pods/ephemeralcontainers"],
                        }
                    ]
                },
                # A change of labels or finalizers must always pass, also on a pod from before an upgrade.
                "match_conditions": [
                    {"name": "spec-changes", "expression": "oldObject == null || object.spec != oldObject.spec"}
                ],
                "variables": _variables(),
                "validations": [*_pod_rules(), *_container_rules(args.images)],
            },
            opts=self.options(),
        )
        ValidatingAdmissionPolicyBinding(
            NAME,
            metadata=self.metadata(NAME),
            spec={
                "policy_name": NAME,
                "validation_actions": ["Deny", "Audit"],
                "match_resources": {"namespace_selector": {"match_labels": {NAMESPACE_LABEL: AGENT_NAMESPACE}}},
            },
            opts=self.options([policy]),
        )
        self.register_outputs({})


def _cel(value: object) -> str:
    """A CEL literal: JSON's strings, lists and maps are CEL's."""
    return json.dumps(value)


def _variables() -> list[VariableArgsDict]:
    def volumes_of(path: str) -> str:
        return f"variables.volumes.filter(v, has(v.hostPath) && v.hostPath.path == {_cel(path)}).map(v, v.name)"

    return [
        {"name": "init", "expression": "object.spec.?initContainers.orValue([])"},
        {"name": "all", "expression": "object.spec.containers + variables.init"},
        {"name": "volumes", "expression": "object.spec.?volumes.orValue([])"},
        {"name": "capabilities", "expression": _cel({name: list(caps) for name, caps in AGENT_CAPABILITIES.items()})},
        {"name": "pins", "expression": volumes_of(PINS_HOST_PATH)},
        {"name": "seccomp", "expression": volumes_of(SECCOMP_HOST_PATH)},
        {"name": "podSeccomp", "expression": "object.spec.?securityContext.?seccompProfile.?type.orValue('')"},
    ]


def _pod_rules() -> list[ValidationArgsDict]:
    shared = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
    groups = "object.spec.?securityContext"
    return [
        _rule(
            " && ".join(f"!object.spec.?{field}.orValue(false)" for field in shared),
            f"{', '.join(shared)} must not be set",
        ),
        _rule(
            "object.spec.?hostUsers.orValue(true) == true",
            "hostUsers must stay true: perf events need the host's users",
        ),
        _rule("!has(object.spec.ephemeralContainers)", "no ephemeral containers: they would hold what they ask for"),
        _rule(
            f"object.spec.?serviceAccountName.orValue('default') == {_cel(AGENT_NAME)}",
            f"the service account must be {AGENT_NAME}",
        ),
        _rule(
            f"{groups}.?fsGroup.orValue(0) != {AGENT_UID} && "
            f"!{groups}.?supplementalGroups.orValue([]).exists(g, g == {AGENT_UID})",
            f"no container but loader and agent may be in group {AGENT_UID}, which opens the pins",
        ),
        _rule(
            "variables.volumes.all(v, has(v.hostPath) "
            f"? v.hostPath.path in {_cel([PINS_HOST_PATH, SECCOMP_HOST_PATH])} "
            ": has(v.configMap) || has(v.projected) || has(v.emptyDir))",
            f"volumes are {PINS_HOST_PATH} and {SECCOMP_HOST_PATH} of the node, configMap, projected and emptyDir",
        ),
    ]


def _container_rules(images: Images) -> list[ValidationArgsDict]:
    allowed = sorted({images.reference("agent"), images.reference("receiver")})
    return [
        _rule(
            "variables.init.all(c, c.name == 'loader' && !has(c.restartPolicy)) && "
            "object.spec.containers.all(c, c.name in ['agent', 'receiver'])",
            "containers are the init container loader, which ends, and agent and receiver",
        ),
        _rule(
            "variables.all.all(c, c.?securityContext.?capabilities.?add.orValue([])"
            ".all(x, x in variables.capabilities[?c.name].orValue([])))",
            expression="'capability not allowed: ' + variables.all.map(c, c.name + ' adds ' + "
            "c.?securityContext.?capabilities.?add.orValue([]).join(',')).join('; ')",
        ),
        _every("'ALL' in c.?securityContext.?capabilities.?drop.orValue([])", "every container drops ALL capabilities"),
        _every("!c.?securityContext.?privileged.orValue(false)", "no container is privileged"),
        _every(
            "!c.?securityContext.?allowPrivilegeEscalation.orValue(true)",
            "every container sets allowPrivilegeEscalation: false",
        ),
        _every(
            "c.?securityContext.?readOnlyRootFilesystem.orValue(false)",
            "every container has a read-only root file system",
        ),
        _every(_identity(), f"loader runs as 0:{AGENT_UID}, agent as {AGENT_UID}, receiver as {RECEIVER_UID}"),
        _every(
            f"c.name == 'agent' ? c.?securityContext.?seccompProfile.?localhostProfile.orValue('') == "
            f"{_cel(SECCOMP_PROFILE)} : "
            "c.?securityContext.?seccompProfile.?type.orValue(variables.podSeccomp) == 'RuntimeDefault'",
            f"the agent runs under {SECCOMP_PROFILE}, every other container under RuntimeDefault",
        ),
        _every(
            "c.?securityContext.?procMount.orValue('Default') == 'Default' && "
            "c.?securityContext.?appArmorProfile.?type.orValue('RuntimeDefault') != 'Unconfined'",
            "procMount and AppArmor stay at their defaults",
        ),
        _every(
            "c.?volumeMounts.orValue([]).all(m, (!(m.name in variables.pins) || c.name in ['loader', 'agent']) && "
            "(!(m.name in variables.seccomp) || c.name == 'loader')) && !has(c.volumeDevices)",
            "loader and agent alone mount the pins, the loader alone the seccomp folder",
        ),
        _every("c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0)", "no port of the node is taken"),
        _every(f"c.image in {_cel(allowed)}", f"images are {' and '.join(allowed)}"),
    ]


def _identity() -> str:
    def runs_as(uid: int, gid: int) -> str:
        return (
            f"c.?securityContext.?runAsUser.orValue(-1) == {uid} && c.?securityContext.?runAsGroup.orValue(-1) == {gid}"
        )

    others = f"(c.name == 'agent' ? {runs_as(AGENT_UID, AGENT_UID)} : {runs_as(RECEIVER_UID, RECEIVER_UID)})"
    return f"c.name == 'loader' ? {runs_as(0, AGENT_UID)} : {others}"


def _every(condition: str, message: str) -> ValidationArgsDict:
    return _rule(f"variables.all.all(c, {condition})", message)


def _rule(condition: str, message: str = "", expression: str = "") -> ValidationArgsDict:
    said: ValidationArgsDict = {"expression": condition, "reason": "Forbidden"}
    said |= {"message_expression": expression} if expression else {"message": f"flameplane-node: {message}"}
    return said
