"""Who may do what at the API server."""

from collections.abc import Iterator

from mutations.edit import Edit, Mutation, Path, appended, each, get, mutating, put, removed, replaced
from policies.rule import Manifest

MORE_RIGHTS = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
    {"nonResourceURLs": ["*"], "verbs": ["get"]},
)
MORE_SUBJECTS = (
    {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"},
    {"kind": "ServiceAccount", "name": "default", "namespace": "default"},
    {"kind": "User", "name": "someone", "apiGroup": "rbac.authorization.k8s.io"},
)


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    if manifest["kind"] in ("Role", "ClusterRole"):
        yield from mutating(manifest, _role(manifest))
    if manifest["kind"] in ("RoleBinding", "ClusterRoleBinding"):
        yield from mutating(manifest, _binding(manifest))
    if manifest["kind"] == "ServiceAccount":
        yield from _service_account(manifest)


def _role(manifest: Manifest) -> Iterator[Edit]:
    for rule in each(manifest, ("rules",)):
        for field, more in (("verbs", "*"), ("resources", "*"), ("resources", "secrets"), ("apiGroups", "*")):
            yield from appended(manifest, (*rule, field), more)
        yield from replaced(manifest, (*rule, "verbs"), ["*"])
        yield from removed(manifest, (*rule, "resourceNames"))
    yield from appended(manifest, ("rules",), *MORE_RIGHTS)
    for role in ("admin", "edit", "view"):
        yield from replaced(manifest, ("metadata", "labels", f"rbac.authorization.k8s.io/aggregate-to-{role}"), "true")
    if manifest["kind"] == "ClusterRole":
        selector = {"clusterRoleSelectors": [{"matchLabels": {"more": "true"}}]}
        yield from replaced(manifest, ("aggregationRule",), selector)
    else:
        yield "a ClusterRole instead", put(manifest, ("kind",), "ClusterRole")


def _binding(manifest: Manifest) -> Iterator[Edit]:
    yield from replaced(manifest, ("roleRef", "name"), "cluster-admin", "edit")
    yield from replaced(manifest, ("roleRef", "kind"), "ClusterRole", "Role")
    yield from appended(manifest, ("subjects",), *MORE_SUBJECTS)
    for subject in each(manifest, ("subjects",)):
        yield from replaced(manifest, (*subject, "namespace"), "default")
        yield from replaced(manifest, (*subject, "name"), "default", "system:authenticated")
        yield from replaced(manifest, (*subject, "kind"), "Group", "User")
    if manifest["kind"] == "RoleBinding":
        yield "a ClusterRoleBinding instead", put(manifest, ("kind",), "ClusterRoleBinding")


def _service_account(manifest: Manifest) -> Iterator[Mutation]:
    """A ServiceAccount: its token goes into no pod by itself, and no cloud role hangs on it unseen."""
    field: Path = ("automountServiceAccountToken",)
    yield from mutating(manifest, replaced(manifest, field, True))
    yield from mutating(manifest, removed(manifest, field))
    role: Path = ("metadata", "annotations", "eks.amazonaws.com/role-arn")
    if get(manifest, role) is None:
        yield from mutating(manifest, replaced(manifest, role, "arn:aws:iam::000000000000:role/admin"))
    yield from mutating(manifest, appended(manifest, ("imagePullSecrets",), {"name": "more"}))
