"""Admission policies that hold the platform's namespaces: no way into a pod past the gateway, no pod made by hand.

Pyroscope believes whoever reaches it. The gateway and NetworkPolicies keep the network's door; what is left is the API
server's own: exec, attach, port-forward and its proxies, ephemeral containers. These are refused for everybody, cluster
administrators too, but for a group that is empty until an incident (``BREAK_GLASS_GROUP``); the audit log shows both.

Limits: `nodes/proxy` belongs to no namespace and stays the cluster's own to guard, and so does whoever may change these
policies. Pods of the agent's namespace are judged field by field by components/agent_guard.py.
"""

import json
from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import (
    NamedRuleWithOperationsArgsDict,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    ValidationArgsDict,
    VariableArgsDict,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgsDict

from components.base import PART_OF, Component
from components.network import NAMESPACE_LABEL
from schemas.allowed import (
    AGENT_NAMESPACE,
    BREAK_GLASS_GROUP,
    INTO_A_POD,
    NAMESPACES,
    PAST_THE_GATEWAY,
    POD_OWNERS,
)

ACCESS: Final = "flameplane-access-guard"
LEVEL: Final = "flameplane-namespace-guard"
WORKLOADS: Final = "flameplane-workload-guard"
ENFORCE: Final = "pod-security.kubernetes.io/enforce"
_BROKEN_GLASS: Final = f"{json.dumps(BREAK_GLASS_GROUP)} in request.userInfo.?groups.orValue([])"


class PlatformGuard(Component):
    """Three policies and their bindings. What cannot be evaluated is refused (failurePolicy Fail)."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("foundation", "PlatformGuard", name, opts)
        inside: LabelSelectorArgsDict = {
            "match_expressions": [{"key": NAMESPACE_LABEL, "operator": "In", "values": list(NAMESPACES)}]
        }
        self._policy(
            ACCESS,
            [_rule("", "v1", ["CONNECT"], PAST_THE_GATEWAY), _rule("", "v1", ["UPDATE"], [INTO_A_POD])],
            [
                _demand(
                    _BROKEN_GLASS,
                    f"exec, attach, port-forward, proxies and ephemeral containers lead past the gateway and its audit;"
                    f" in an incident, as a member of {BREAK_GLASS_GROUP}",
                )
            ],
        )
        self._bind(ACCESS, inside)
        self._policy(LEVEL, [_rule("", "v1", ["CREATE", "UPDATE"], ["namespaces"])], [_level()])
        # By their own names: a namespace is in no namespace, but carries the same label.
        self._bind(LEVEL, inside)
        self._policy(
            WORKLOADS,
            [
                _rule("", "v1", ["CREATE"], ["pods", "replicationcontrollers"]),
                _rule("apps", "v1", ["CREATE"], ["daemonsets", "deployments", "replicasets", "statefulsets"]),
                _rule("batch", "v1", ["CREATE"], ["cronjobs", "jobs"]),
            ],
            _made_by_us(),
            _origin(),
        )
        self._bind(WORKLOADS, inside)
        self.register_outputs({})

    def _policy(
        self,
        name: str,
        rules: Sequence[NamedRuleWithOperationsArgsDict],
        demands: Sequence[ValidationArgsDict],
        variables: Sequence[VariableArgsDict] = (),
    ) -> None:
        ValidatingAdmissionPolicy(
            name,
            metadata=self.metadata(name),
            spec={
                "failure_policy": "Fail",
                "match_constraints": {"resource_rules": rules},
                "variables": variables or None,
                "validations": demands,
            },
            opts=self.options(),
        )

    def _bind(self, name: str, selector: LabelSelectorArgsDict) -> None:
        ValidatingAdmissionPolicyBinding(
            name,
            metadata=self.metadata(name),
            spec={
                "policy_name": name,
                "validation_actions": ["Deny", "Audit"],
                "match_resources": {"namespace_selector": selector},
            },
            opts=self.options(),
        )


def _rule(
    group: str, version: str, operations: Sequence[str], resources: Sequence[str]
) -> NamedRuleWithOperationsArgsDict:
    return {
        "api_groups": [group],
        "api_versions": [version],
        "operations": list(operations),
        "resources": list(resources),
    }


def _level() -> ValidationArgsDict:
    """Each namespace keeps the Pod Security level of the table, whoever asks, and that of the newest version."""
    levels = json.dumps(NAMESPACES)
    labels = "object.metadata.?labels.orValue({})"
    return _demand(
        f"{labels}[?'{ENFORCE}'].orValue('') == {levels}[?object.metadata.name].orValue('restricted') && "
        f"{labels}[?'{ENFORCE}-version'].orValue('latest') == 'latest'",
        f"the label {ENFORCE} is `privileged` for {AGENT_NAMESPACE} and `restricted` for all others, without a version",
    )


def _origin() -> list[VariableArgsDict]:
    ((key, value),) = PART_OF.items()
    owners = "object.metadata.?ownerReferences.orValue([]).filter(o, o.?controller.orValue(false)).map(o, o.kind)"
    return [
        {"name": "exempt", "expression": _BROKEN_GLASS},
        {"name": "owners", "expression": owners},
        {
            "name": "ours",
            "expression": f"object.metadata.?labels[?{json.dumps(key)}].orValue('') == {json.dumps(value)}",
        },
    ]


def _made_by_us() -> list[ValidationArgsDict]:
    """Pods come from controllers, and those that stand at the top carry the platform's label."""

    def only(kinds: Sequence[str], demand: str, message: str) -> ValidationArgsDict:
        return _demand(f"variables.exempt || !(request.kind.kind in {json.dumps(list(kinds))}) || {demand}", message)

    top = ("CronJob", "DaemonSet", "Deployment", "StatefulSet")
    return [
        only(
            ["Pod"], f"variables.owners.exists(o, o in {json.dumps(list(POD_OWNERS))})", "no pod is made by hand here"
        ),
        only(["ReplicaSet"], "'Deployment' in variables.owners", "a ReplicaSet is a Deployment's"),
        only(["Job"], "'CronJob' in variables.owners || variables.ours", "a Job is a CronJob's or the platform's"),
        only(top, "variables.ours", "only the platform's own workloads run here"),
        only(
            ["DaemonSet"], f"request.namespace == '{AGENT_NAMESPACE}'", f"a DaemonSet runs in {AGENT_NAMESPACE} alone"
        ),
        only(["ReplicationController"], "false", "a ReplicationController is none of the platform's kinds"),
    ]


def _demand(condition: str, message: str) -> ValidationArgsDict:
    return {"expression": condition, "reason": "Forbidden", "message": f"flameplane: {message}"}
