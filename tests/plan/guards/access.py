"""Rights at the API server: the whole list, by service account."""

from collections.abc import Iterator, Mapping
from typing import Any

from guards.stack import Guard, Stack
from policies.objects import at, items, label, name, namespace
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, SYSTEM_NAMESPACE

RBAC = "rbac.authorization.k8s.io"
# (service account, where: a namespace or the whole cluster) -> (group, resource, names, verbs).
RIGHTS = {
    (f"{AGENT_NAMESPACE}/flameplane-node", "cluster"): [("", "pods", "", "list watch")],
    (f"{ACCESS_NAMESPACE}/gateway", "cluster"): [("authentication.k8s.io", "tokenreviews", "", "create")],
    (f"{ACCESS_NAMESPACE}/gateway", ACCESS_NAMESPACE): [("coordination.k8s.io", "leases", "", "create get")],
    (f"{ACCESS_NAMESPACE}/ci-gate", ACCESS_NAMESPACE): [("", "configmaps", "ci-gate", "get")],
    (f"{SYSTEM_NAMESPACE}/flameplane-downsample", SYSTEM_NAMESPACE): [
        ("coordination.k8s.io", "leases", "", "create"),
        ("coordination.k8s.io", "leases", "flameplane-downsample", "get update"),
    ],
}


def rights_are_what_is_listed(stack: Stack) -> Iterator[str]:
    roles = {
        (m["kind"], namespace(m) if m["kind"] == "Role" else "", name(m)): m for m in stack.of("Role", "ClusterRole")
    }
    found: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for binding in stack.of("RoleBinding", "ClusterRoleBinding"):
        where = namespace(binding) if binding["kind"] == "RoleBinding" else "cluster"
        ref = binding["roleRef"]
        role = roles.get((ref["kind"], namespace(binding) if ref["kind"] == "Role" else "", ref["name"]))
        if role is None or ref.get("apiGroup") != RBAC:
            yield f"{label(binding)} gives {ref['kind']} {ref['name']}, which is not declared here"
            continue
        for subject in items(binding.get("subjects")):
            account = f"{subject.get('namespace')}/{subject['name']}"
            if subject["kind"] != "ServiceAccount":
                account = f"{subject['kind']} {subject['name']}"
            found.setdefault((account, where), []).extend(_rights(role))
    for who in sorted(found.keys() | RIGHTS.keys()):
        if sorted(found.get(who, [])) != sorted(RIGHTS.get(who, [])):
            yield f"{who[0]} may in {who[1]}: {found.get(who, [])}, listed is {RIGHTS.get(who, [])}"


def _rights(role: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for rule in items(role.get("rules")):
        groups, names = " ".join(items(rule.get("apiGroups"))), " ".join(items(rule.get("resourceNames")))
        resources = " ".join([*items(rule.get("resources")), *items(rule.get("nonResourceURLs"))])
        yield groups, resources, names, " ".join(sorted(items(rule.get("verbs"))))


def roles_reach_nobody_by_aggregation(stack: Stack) -> Iterator[str]:
    for role in stack.of("Role", "ClusterRole"):
        labels = at(role, "metadata", "labels") or {}
        if any(key.startswith(f"{RBAC}/aggregate-to-") for key in labels) or role.get("aggregationRule"):
            yield f"{label(role)} is aggregated"


def service_accounts_are_bare(stack: Stack) -> Iterator[str]:
    """No token goes into pods by itself, no cloud role and no pull secret hangs on an account."""
    for account in stack.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{label(account)} mounts its token into every pod"
        for field in ("secrets", "imagePullSecrets"):
            if account.get(field):
                yield f"{label(account)} has {field}"
        if at(account, "metadata", "annotations"):
            yield f"{label(account)} has annotations: {sorted(at(account, 'metadata', 'annotations'))}"


_RBAC_KINDS = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
GUARDS = (
    Guard(rights_are_what_is_listed, _RBAC_KINDS),
    Guard(roles_reach_nobody_by_aggregation, _RBAC_KINDS),
    Guard(service_accounts_are_bare, ("ServiceAccount",)),
)
