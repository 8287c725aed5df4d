"""Where objects stand, and that what they refer to is there."""

from collections.abc import Iterator

from guards.stack import Guard, Stack
from policies.objects import WORKLOADS, at, items, label, name, namespace, pod
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, BACKEND_NAMESPACE, NAMESPACES, SYSTEM_NAMESPACE

POD_SECURITY = "pod-security.kubernetes.io/"
NAMESPACED = (
    *WORKLOADS,
    "Certificate",
    "ConfigMap",
    "Service",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PrometheusRule",
    "PodMonitor",
)
# Of devstore, and of Pyroscope with its S3: claims that have a static volume each, and the StatefulSets that hold them.
CLAIMS = (("profiles", "devstore"), ("metastore", "pyroscope"), ("blocks", "object-storage"))
FROM_THE_CLUSTER = ("kube-root-ca.crt",)  # ConfigMaps that Kubernetes itself puts into every namespace


def namespaces_hold_their_level(stack: Stack) -> Iterator[str]:
    """Each namespace is declared, with its Pod Security level in all three modes and of no older version."""
    declared = {name(m): at(m, "metadata", "labels") or {} for m in stack.of("Namespace")}
    demo = {namespace(m): "restricted" for m in stack.workloads if namespace(m) not in NAMESPACES}
    for namespace_name, level in {**demo, **NAMESPACES}.items():
        labels = declared.get(namespace_name)
        if labels is None:
            yield f"namespace {namespace_name} is not declared"
            continue
        # `privileged` audits nothing; what goes beyond baseline is worth a line in the audit log.
        expected = {"enforce": level, "warn": level, "audit": "baseline" if level == "privileged" else level}
        found = {k.removeprefix(POD_SECURITY): v for k, v in labels.items() if k.startswith(POD_SECURITY)}
        if found != expected:
            yield f"namespace {namespace_name} has {found}, not {expected}"


def objects_stand_in_their_namespaces(stack: Stack) -> Iterator[str]:
    """Nothing lands in `default` or in a namespace that the platform does not hold."""
    monitoring = {stack.settings.correlation.grafana_namespace, stack.settings.alerts.prometheus_namespace}
    teams = {service.spec.workload.namespace for service in stack.catalog.services} if stack.settings.demo else set()
    for manifest in stack.of(*NAMESPACED):
        allowed = {*NAMESPACES, *teams}
        if manifest["kind"] == "ConfigMap":
            allowed |= monitoring
        if namespace(manifest) not in allowed:
            yield f"{label(manifest)} stands in {namespace(manifest)}"
    for manifest in stack.of("DaemonSet"):
        if namespace(manifest) != AGENT_NAMESPACE:
            yield f"{label(manifest)} is not in {AGENT_NAMESPACE}"


def references_are_there(stack: Stack) -> Iterator[str]:
    """A ConfigMap that is mounted or given to an admission policy is declared, so none can be left out unseen."""
    for manifest in stack.workloads:
        for volume in items(pod(manifest).get("volumes")):
            wanted = at(volume, "configMap", "name")
            if wanted and wanted not in FROM_THE_CLUSTER and not stack.has("ConfigMap", namespace(manifest), wanted):
                yield f"{label(manifest)} mounts ConfigMap {wanted}, which is not declared"
    for manifest in stack.of("ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding"):
        wanted, where = at(manifest, "spec", "paramRef", "name"), at(manifest, "spec", "paramRef", "namespace")
        if wanted and not stack.has("ConfigMap", str(where), wanted):
            yield f"{label(manifest)} takes its parameters from ConfigMap {wanted}, which is not declared"


def volumes_of_the_node_are_kept(stack: Stack) -> Iterator[str]:
    """PersistentVolumes: below the folder of the settings, kept when released, reserved for one claim."""
    folder = stack.settings.backend.volumes.host_path
    expected = {f"flameplane-{claim}": (f"{folder}/{claim}", f"{claim}-{s}-0") for claim, s in CLAIMS if folder}
    found = {}
    for manifest in stack.of("PersistentVolume"):
        spec = manifest["spec"]
        found[name(manifest)] = (at(spec, "local", "path"), at(spec, "claimRef", "name"))
        kept = (spec.get("persistentVolumeReclaimPolicy"), spec.get("accessModes"), at(spec, "claimRef", "namespace"))
        if kept != ("Retain", ["ReadWriteOnce"], BACKEND_NAMESPACE):
            yield f"{label(manifest)} is not kept for one node (Retain, ReadWriteOnce)"
    if found != expected:
        yield f"static volumes: {found}"
    claims = {(name(t), name(s)) for s in stack.of("StatefulSet") for t in items(at(s, "spec", "volumeClaimTemplates"))}
    if folder and not claims <= set(CLAIMS):
        yield f"a claim has no static volume: {claims}"


def the_door_stays_open_while_nodes_drain(stack: Stack) -> Iterator[str]:
    """One replica after the other: else profiles, reads and alerts stop during every upgrade of the nodes."""
    wanted = [(ACCESS_NAMESPACE, "gateway"), (SYSTEM_NAMESPACE, "network-probe")]
    if stack.settings.correlation.grafana.mode == "own":
        wanted.append((ACCESS_NAMESPACE, "grafana"))
    if stack.settings.regression.egress_hosts:
        wanted.append((SYSTEM_NAMESPACE, "egress-proxy"))
    expected = {
        f"{where}/{app}": {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": app}}}
        for where, app in wanted
    }
    # Where NetworkPolicies are not enforced no probe is ever ready: nodes have to drain all the same.
    expected[f"{SYSTEM_NAMESPACE}/network-probe"]["unhealthyPodEvictionPolicy"] = "AlwaysAllow"
    # Those of the backend follow its quorum: its own guards and rules know them.
    budgets = [m for m in stack.of("PodDisruptionBudget") if namespace(m) != BACKEND_NAMESPACE]
    found = {f"{namespace(m)}/{name(m)}": m["spec"] for m in budgets}
    if found != expected:
        yield f"disruption budgets: {found}"


GUARDS = (
    Guard(the_door_stays_open_while_nodes_drain, ("PodDisruptionBudget",)),
    Guard(namespaces_hold_their_level, ("Namespace", *WORKLOADS)),
    Guard(objects_stand_in_their_namespaces, NAMESPACED),
    Guard(
        references_are_there,
        (*WORKLOADS, "ConfigMap", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding"),
    ),
    Guard(volumes_of_the_node_are_kept, ("PersistentVolume", "StatefulSet")),
)
