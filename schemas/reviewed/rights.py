"""Who may do what at the API server: every right of the platform's programs, as it was reviewed.

A Role or ClusterRole belongs to one service account and is bound to it alone, by a binding of the same name. What is
not listed here, nobody of the platform may do.
"""

from typing import Final, NamedTuple

from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, SYSTEM_NAMESPACE


class Right(NamedTuple):
    """What one rule of a role allows. Each field is sorted."""

    groups: tuple[str, ...]  # "" is the core API
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()  # resourceNames; none: all

    def __str__(self) -> str:
        resources = ", ".join(f"{resource}.{group}".rstrip(".") for group in self.groups for resource in self.resources)
        return f"{', '.join(self.verbs)} of {resources or 'nothing'}" + (
            f" {', '.join(self.names)}" if self.names else ""
        )


class Holder(NamedTuple):
    """A service account."""

    namespace: str
    account: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.account}"


class Granted(NamedTuple):
    """What a role allows, and to whom."""

    holder: Holder
    rights: tuple[Right, ...]


AGENT: Final = Holder(AGENT_NAMESPACE, "flameplane-node")
GATEWAY: Final = Holder(ACCESS_NAMESPACE, "gateway")
CI_GATE: Final = Holder(ACCESS_NAMESPACE, "ci-gate")
DOWNSAMPLE: Final = Holder(SYSTEM_NAMESPACE, "flameplane-downsample")

# Role by where it is (a namespace, "" for the cluster) and what it is called.
ROLES: Final = {
    # Which pods run on the node: RBAC cannot limit that to one node. No `get`: it is never asked for one pod.
    ("", "flameplane-node"): Granted(AGENT, (Right(("",), ("pods",), ("list", "watch")),)),
    # Whether the token of a caller is good. Reviews are no objects of a namespace.
    ("", "flameplane-gateway"): Granted(GATEWAY, (Right(("authentication.k8s.io",), ("tokenreviews",), ("create",)),)),
    # A grant is used up by creating its Lease, which works once. No update and no delete: it would be good again.
    (ACCESS_NAMESPACE, "gateway"): Granted(GATEWAY, (Right(("coordination.k8s.io",), ("leases",), ("create", "get")),)),
    # Whom the gate trusts, and the services it knows: one object, which holds no secret.
    (ACCESS_NAMESPACE, "ci-gate"): Granted(CI_GATE, (Right(("",), ("configmaps",), ("get",), ("ci-gate",)),)),
    # Its lock, which it takes and gives back. RBAC cannot limit making one to a name; no other Lease counts there.
    (SYSTEM_NAMESPACE, "flameplane-downsample"): Granted(
        DOWNSAMPLE,
        (
            Right(("coordination.k8s.io",), ("leases",), ("create",)),
            Right(("coordination.k8s.io",), ("leases",), ("get", "update"), ("flameplane-downsample",)),
        ),
    ),
}
# Whatever carries this label is the platform's, wherever it is.
PART_OF: Final = ("app.kubernetes.io/part-of", "flameplane")
