"""What a pod of the platform may say at all: fields, kinds of volumes, labels and annotations.

Kubernetes grows a way to ask for more with every version. A list of the known ones is late by one; so these are the
fields that the platform's own programs use, and any other one is refused until somebody has looked at it.
"""

from typing import Final

from schemas.allowed import OBJECT_LABELS
from schemas.reviewed.forms import Form, OneOf, Text
from schemas.reviewed.network import LABELLED

POD_FIELDS: Final = (
    *("affinity", "containers", "initContainers", "restartPolicy", "securityContext", "serviceAccountName"),
    *("automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "volumes"),
    "topologySpreadConstraints",
)
# Only the agent's: it has to be on every node, before what it profiles, in the node's own user namespace (bpffs).
AGENT_POD_FIELDS: Final = {
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "priorityClassName": "flameplane-node",
    "hostUsers": True,
}
CONTAINER_FIELDS: Final = (
    *("name", "image", "imagePullPolicy", "args", "command", "env", "envFrom", "ports", "resources", "securityContext"),
    *("volumeMounts", "livenessProbe", "readinessProbe", "startupProbe"),
)
POD_SECURITY: Final = (
    *("fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile", "appArmorProfile"),
)
CONTAINER_SECURITY: Final = (
    *("allowPrivilegeEscalation", "appArmorProfile", "capabilities", "privileged", "readOnlyRootFilesystem"),
    *("runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile"),
)
# hostPath is the agent's alone, and an image is held by digest: rules of their own judge both.
VOLUME_SOURCES: Final = (
    *("configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret", "hostPath", "image"),
)
PROJECTED_SOURCES: Final = ("configMap", "downwardAPI", "secret", "serviceAccountToken")
MOUNT_FIELDS: Final = ("name", "mountPath", "readOnly")
PORT_FIELDS: Final = ("name", "containerPort", "protocol", "hostPort")  # hostPort: rule FP007 refuses it
# Users below are of the system's own: root, daemon, bin.
LOWEST_ID: Final = 1000
APPARMOR_TYPES: Final = ("RuntimeDefault",)
AGENT_SECCOMP: Final = "flameplane/agent.json"  # what the loader writes into the kubelet's folder

POD_LABELS: Final = (*OBJECT_LABELS, *LABELLED)
POD_ANNOTATION_VALUES: Final[dict[str, Form]] = {
    "prometheus.io/scrape": OneOf(("true",)),
    "prometheus.io/port": OneOf(("4041", "4042")),
    "prometheus.io/path": OneOf(("/metrics",)),
    "flameplane.dev/config-checksum": Text(r"[0-9a-f]{16,64}", "the checksum of its configuration"),
    "kubectl.kubernetes.io/default-container": OneOf(("agent",)),
}
POD_ANNOTATIONS: Final = tuple(POD_ANNOTATION_VALUES)
NAMESPACE_LABELS: Final = (
    *OBJECT_LABELS,
    # What they say is rule FP040's.
    *(f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "warn", "audit", "enforce-version")),
    "kubernetes.io/metadata.name",  # the API server's own
)
