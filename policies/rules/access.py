"""Who may do what at the API server, with which tokens."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import WORKLOADS, at, breaks, containers, items, name, namespace, pod, texts, whole
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import (
    AGENT_NAMESPACE,
    API_CLIENTS,
    INTO_A_POD,
    NAMESPACES,
    OBJECT_LABELS,
    PAST_THE_GATEWAY,
    TOKEN_AUDIENCES,
    TOKEN_SECONDS,
)
from schemas.reviewed.network import PROGRAMS

ROLES: Final = ("Role", "ClusterRole")
BINDINGS: Final = ("RoleBinding", "ClusterRoleBinding")
READ: Final = ("get", "list", "watch")
# Resources that nobody of the platform may touch, and what each would give away.
FORBIDDEN: Final = {
    "secrets": "every credential of the namespace",
    **dict.fromkeys(PAST_THE_GATEWAY, "a way past the gateway"),
    INTO_A_POD: "the memory of any pod",
    "nodes/proxy": "the kubelet, and with it every pod",
    "serviceaccounts/token": "the identity of any other program",
    "certificatesigningrequests": "a certificate for anybody",
    "mutatingwebhookconfigurations": "every pod before it starts",
    "validatingwebhookconfigurations": "the guards of the cluster",
    "validatingadmissionpolicies": "the guards of the cluster",
    "validatingadmissionpolicybindings": "the guards of the cluster",
    "mutatingadmissionpolicies": "every pod before it starts",
    "mutatingadmissionpolicybindings": "every pod before it starts",
}
FORBIDDEN_VERBS: Final = ("escalate", "bind", "impersonate")
RBAC_GROUP: Final = "rbac.authorization.k8s.io"
AGGREGATE: Final = f"{RBAC_GROUP}/aggregate-to-"
EVERYBODY: Final = ("system:authenticated", "system:unauthenticated", "system:anonymous", "system:serviceaccounts")
# Annotations by which clouds give a service account a role unseen; here a role is a PodIdentityAssociation.
CLOUD_ROLES: Final = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
)
ACCOUNT_FIELDS: Final = ("apiVersion", "kind", "metadata", "automountServiceAccountToken", "secrets")


def _roles(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        if manifest.get("kind") in ROLES:
            for rule in items(manifest.get("rules")):
                for how in _rights(rule):
                    yield breaks(manifest, how)
            if manifest.get("aggregationRule"):
                yield breaks(manifest, "is aggregated (aggregationRule): what it allows stands elsewhere")
            for key in at(manifest, "metadata", "labels") or {}:
                if key.startswith(AGGREGATE):
                    yield breaks(manifest, f"adds to a role of the cluster by the label {key}")
        elif manifest.get("kind") in BINDINGS:
            yield from _bound(manifest)


def _rights(rule: Mapping[str, Any]) -> Iterator[str]:
    resources, verbs = texts(rule.get("resources")), [v.lower() for v in texts(rule.get("verbs"))]
    for field, values in (("verbs", verbs), ("resources", resources), ("apiGroups", texts(rule.get("apiGroups")))):
        if any("*" in v for v in values):
            yield f"has a wildcard in {field}: {', '.join(values)}"
    if urls := texts(rule.get("nonResourceURLs")):
        yield f"allows paths of the API server: {', '.join(urls)}"
    for resource in resources:
        if reason := FORBIDDEN.get(resource.lower()):
            yield f"allows {', '.join(verbs)} of {resource}: {reason}"
    for verb in verbs:
        if verb in FORBIDDEN_VERBS:
            yield f"allows to {verb}: whoever may, may everything"
    if RBAC_GROUP in texts(rule.get("apiGroups")) and set(verbs) - set(READ):
        yield f"changes rights ({', '.join(resources)})"


def _bound(manifest: Manifest) -> Iterator[Violation]:
    """A binding leads from our own role to our own service accounts, and is no wider than it looks."""
    role = at(manifest, "roleRef") or {}
    if role.get("name") != name(manifest):
        yield breaks(manifest, f"gives the role {role.get('name')}, which is not its own: declare what is needed")
    if manifest.get("kind") == "RoleBinding" and role.get("kind") != "Role":
        yield breaks(manifest, "gives a ClusterRole: declare a Role with what is needed in the namespace")
    for subject in items(manifest.get("subjects")):
        kind, who = subject.get("kind"), str(subject.get("name"))
        if kind != "ServiceAccount":
            what = "everybody" if who in EVERYBODY or who.startswith("system:serviceaccounts") else f"{kind} {who}"
            yield breaks(manifest, f"gives rights to {what}; people get theirs elsewhere")
        elif subject.get("namespace") not in NAMESPACES or who == "default":
            yield breaks(
                manifest, f"gives rights to {subject.get('namespace')}/{who}, which is no program of the platform"
            )


def _tokens(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        if manifest.get("kind") == "ServiceAccount":
            yield from _account(manifest)
            continue
        if namespace(manifest) in NAMESPACES:
            yield from _runs_as(manifest)
        for volume in items(pod(manifest).get("volumes")):
            for source in items(at(volume, "projected", "sources")):
                if (token := source.get("serviceAccountToken")) is not None:
                    yield from _token(manifest, str(volume.get("name")), token or {})


def _runs_as(manifest: Manifest) -> Iterator[Violation]:
    """Every program has its own service account, of its own name."""
    account = pod(manifest).get("serviceAccountName") or "default"
    if account == "default":
        yield breaks(manifest, "runs as the service account `default`: what it does could be anybody's")
    elif account != name(manifest) and f"{namespace(manifest)}/{name(manifest)}" in PROGRAMS:
        yield breaks(manifest, f"runs as the service account {account}, not as its own, {name(manifest)}")


def _account(manifest: Manifest) -> Iterator[Violation]:
    if namespace(manifest) in NAMESPACES and manifest.get("automountServiceAccountToken") is not False:
        yield breaks(manifest, "does not set automountServiceAccountToken: false: its token would go into every pod")
    if items(manifest.get("secrets")):
        yield breaks(manifest, "names Secrets with tokens that never expire")
    for key in at(manifest, "metadata", "annotations") or {}:
        if key in CLOUD_ROLES:
            yield breaks(manifest, f"is given a cloud role by the annotation {key}; use a PodIdentityAssociation")
        elif namespace(manifest) in NAMESPACES:
            yield breaks(manifest, f"has the annotation {key}; an account is a name, and nothing else")
    if namespace(manifest) in NAMESPACES:
        for key in (*(k for k in manifest if k not in ACCOUNT_FIELDS), *_other_labels(manifest)):
            yield breaks(manifest, f"has {key}; an account is a name, and nothing else")


def _other_labels(manifest: Manifest) -> Iterator[str]:
    yield from (f"the label {k}" for k in at(manifest, "metadata", "labels") or {} if k not in OBJECT_LABELS)


def _token(manifest: Manifest, volume: str, token: Mapping[str, Any]) -> Iterator[Violation]:
    audience, seconds = token.get("audience"), token.get("expirationSeconds")
    account = pod(manifest).get("serviceAccountName")
    if audience is None and (namespace(manifest), account) not in API_CLIENTS:
        yield breaks(manifest, f"has a token for the API server in volume {volume}; {account} does not call it")
    elif audience is not None and audience not in TOKEN_AUDIENCES:
        yield breaks(manifest, f"has a token for {audience} in volume {volume}; valid: {', '.join(TOKEN_AUDIENCES)}")
    if seconds is None or isinstance(seconds, str) or seconds > TOKEN_SECONDS:
        yield breaks(manifest, f"has a token for {whole(seconds) or 'an unset number of'} s; at most {TOKEN_SECONDS}")
    mounting = [
        c.name for c in containers(manifest) for m in items(c.body.get("volumeMounts")) if m.get("name") == volume
    ]
    if namespace(manifest) == AGENT_NAMESPACE and "loader" in mounting:
        yield breaks(manifest, f"gives the loader a token (volume {volume}): it is root, and calls nobody")


RULES: Final = (
    Rule(
        id="FP017",
        name="least-privilege-rbac",
        why="Whoever may exec into a pod or read a Secret is past the gateway and its audit; a wildcard allows what "
        "does not exist yet.",
        remediation="Give each program a Role or ClusterRole of its own name (`allow`, `allow_everywhere` of "
        "components/base.py) with the verbs and resources that it calls.",
        kinds=(*ROLES, *BINDINGS),
        check=_roles,
    ),
    Rule(
        id="FP018",
        name="bound-tokens",
        why="A token that is good for everything, for ever, is worth stealing from any pod.",
        remediation="Mount projected tokens with an audience of `TOKEN_AUDIENCES` (schemas/allowed.py) and at most "
        f"{TOKEN_SECONDS} s; only `API_CLIENTS` get one for the API server. Every program has its own service account.",
        kinds=("ServiceAccount", *WORKLOADS),
        check=_tokens,
    ),
)
