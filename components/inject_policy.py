"""The CEL that puts a language agent into a pod: one MutatingAdmissionPolicy per language, parameters per service.

It may never stop an application. So it leaves alone a container whose hook variable it cannot read (valueFrom) or might
shadow (envFrom); it never touches a variable that the container has itself; and an error of its own is ignored. What
stays: a variable set in the image cannot be seen and is shadowed, and a pod waits while the node pulls the image of the
agent, as for any init container.
"""

import json
from dataclasses import dataclass
from typing import Final

from pulumi_kubernetes.admissionregistration.v1 import MutatingAdmissionPolicySpecArgsDict, VariableArgsDict

from components.pods import Images
from schemas.allowed import INJECTED_LANGUAGES

OPT_OUT: Final = "flameplane.dev/inject"  # "false": not this pod; "true": also containers that have envFrom
NEVER_SAMPLED: Final = "flameplane.dev/profile"  # "false": the node agent drops the pod, so nothing is injected either
FOLDER: Final = "/flameplane"
COPIER: Final = "flameplane-inject"
COPIER_UID: Final = 65532  # the user of distroless images; set, since a pod may run everything else as root


@dataclass(frozen=True)
class Hook:
    """The environment variable by which a runtime loads an agent, and how our value joins one that is there already."""

    variable: str
    value: str
    separator: str
    first: bool = False  # ours stands before the existing value


HOOKS: Final = {
    "java": Hook("JAVA_TOOL_OPTIONS", f"-javaagent:{FOLDER}/agent.jar", " "),
    "node": Hook("NODE_OPTIONS", f"--require {FOLDER}/preload.js", " "),
    # The first sitecustomize on the path wins; ours then loads the next one.
    "python": Hook("PYTHONPATH", f"{FOLDER}/python", ":", first=True),
}
assert set(HOOKS) == set(INJECTED_LANGUAGES)


def policy_spec(language: str, images: Images) -> MutatingAdmissionPolicySpecArgsDict:
    """The policy of one language. It acts only where a binding with a parameter object points it at pods."""
    hook = HOOKS[language]
    return {
        "param_kind": {"api_version": "v1", "kind": "ConfigMap"},
        "failure_policy": "Ignore",
        # Another mutation may add containers after us; the match conditions keep this from happening twice.
        "reinvocation_policy": "IfNeeded",
        "match_constraints": {
            "resource_rules": [
                {"api_groups": [""], "api_versions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "match_conditions": [
            {"name": "not-opted-out", "expression": f"{_annotation(OPT_OUT)} != 'false'"},
            {"name": "sampled", "expression": f"{_annotation(NEVER_SAMPLED)} != 'false'"},
            # The receiver knows a pod by its address; on the host's network it has none of its own.
            {"name": "own-address", "expression": "!object.spec.?hostNetwork.orValue(false)"},
            {
                "name": "not-injected",
                "expression": f"!object.spec.?initContainers.orValue([]).exists(c, c.name == {_cel(COPIER)})",
            },
        ],
        "variables": _variables(hook),
        "mutations": [
            {"patch_type": "ApplyConfiguration", "apply_configuration": {"expression": _containers(hook)}},
            # Capabilities are an atomic list, which an apply configuration may not set.
            {
                "patch_type": "JSONPatch",
                "json_patch": {"expression": _copier(images.reference(f"inject-{language}"), images)},
            },
        ],
    }


def _annotation(name: str) -> str:
    return f"object.metadata.?annotations[?{_cel(name)}].orValue('')"


def _cel(value: object) -> str:
    return json.dumps(value)


def _variables(hook: Hook) -> list[VariableArgsDict]:
    unreadable = f"c.?env.orValue([]).exists(e, e.name == {_cel(hook.variable)} && has(e.valueFrom))"
    shadowed = f"(c.?envFrom.orValue([]).size() > 0 && {_annotation(OPT_OUT)} != 'true')"
    return [
        {"name": "env", "expression": "params.data.env.split('\\n').filter(l, l != '')"},
        {"name": "targets", "expression": f"object.spec.containers.filter(c, !{unreadable} && !{shadowed})"},
    ]


def _containers(hook: Hook) -> str:
    """An apply configuration: lists of containers, variables and mounts merge by their keys."""
    existing = f"c.?env.orValue([]).filter(e, e.name == {_cel(hook.variable)} && e.?value.orValue('') != '')"
    joined = [f"{existing}[0].value", _cel(hook.value)]
    text = f" + {_cel(hook.separator)} + ".join(reversed(joined) if hook.first else joined)
    return f"""
variables.targets.size() == 0 ? Object{{}} : Object{{
  spec: Object.spec{{
    volumes: [Object.spec.volumes{{
      name: "flameplane",
      emptyDir: Object.spec.volumes.emptyDir{{sizeLimit: "128Mi"}}
    }}],
    containers: variables.targets.map(c, Object.spec.containers{{
      name: c.name,
      volumeMounts: [Object.spec.containers.volumeMounts{{
        name: "flameplane", mountPath: {_cel(FOLDER)}, readOnly: true
      }}],
      env: variables.env
        .filter(l, !c.?env.orValue([]).exists(e, e.name == l.substring(0, l.indexOf('='))))
        .map(l, Object.spec.containers.env{{
          name: l.substring(0, l.indexOf('=')), value: l.substring(l.indexOf('=') + 1)
        }})
        + [Object.spec.containers.env{{
          name: {_cel(hook.variable)},
          value: {existing}.size() == 0 ? {_cel(hook.value)} : {text}
        }}]
    }})
  }}
}}""".strip()


def _copier(image: str, images: Images) -> str:
    """The init container that copies the agent into the pod, as small and closed as Pod Security asks."""
    container = f"""Object.spec.initContainers{{
  name: {_cel(COPIER)},
  image: {_cel(image)},
  imagePullPolicy: {_cel(images.pull_policy)},
  volumeMounts: [Object.spec.initContainers.volumeMounts{{name: "flameplane", mountPath: {_cel(FOLDER)}}}],
  resources: Object.spec.initContainers.resources{{
    requests: {{"cpu": "10m", "memory": "16Mi"}}, limits: {{"cpu": "500m", "memory": "64Mi"}}
  }},
  securityContext: Object.spec.initContainers.securityContext{{
    runAsNonRoot: true, runAsUser: {COPIER_UID}, runAsGroup: {COPIER_UID},
    allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
    capabilities: Object.spec.initContainers.securityContext.capabilities{{drop: ["ALL"]}},
    seccompProfile: Object.spec.initContainers.securityContext.seccompProfile{{type: "RuntimeDefault"}}
  }}
}}"""
    # An empty list first: a value that is a list of objects makes the API server (1.36.3) panic: no pod is created.
    return f"""
variables.targets.size() == 0 ? [] :
(has(object.spec.initContainers) ? [] : [JSONPatch{{op: "add", path: "/spec/initContainers", value: []}}])
+ [JSONPatch{{op: "add", path: "/spec/initContainers/-", value: {container}}}]""".strip()
