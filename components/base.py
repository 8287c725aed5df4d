"""What every component shares: its type token, labels, names and order of its objects, and identities.

Objects that policies judge are made where they belong, not by helpers here: a finding then points at the right line.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRuleArgsDict,
    Role,
    RoleBinding,
    SubjectArgsDict,
)

from schemas.service import Service

PART_OF: Final = {"app.kubernetes.io/part-of": "flameplane"}
APP_LABEL: Final = "app.kubernetes.io/name"
RBAC: Final = "rbac.authorization.k8s.io"


class Component(pulumi.ComponentResource):
    """One part of a layer. Objects have explicit names, since generated ones would be unknown at plan time.

    A Pulumi child does not wait for what its component depends on, so ``depends_on`` is handed on to every child: a
    namespace stands before the objects in it.
    """

    layer: str

    def __init__(self, layer: str, kind: str, name: str, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(f"flameplane:{layer}:{kind}", name, {}, opts)
        self.layer = layer
        self._after = opts.depends_on if opts and isinstance(opts.depends_on, list) else []

    def options(self, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """Options of a child: this component is its parent, the provider is inherited from it."""
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *after])

    def labels(self, app: str, service: Service | None = None) -> dict[str, str]:
        """Labels of an object: what it belongs to, and the service it was made for."""
        labels = {APP_LABEL: app, **PART_OF, "flameplane.dev/layer": self.layer}
        if service:
            labels |= {"flameplane.dev/service": service.name, "flameplane.dev/team": service.team}
        return labels

    def metadata(
        self,
        name: str,
        namespace: str | None = None,
        *,
        app: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        service: Service | None = None,
    ) -> ObjectMetaArgs:
        """Metadata of an object; ``app`` is the program it belongs to, where that is not its own name."""
        return ObjectMetaArgs(
            name=name,
            namespace=namespace,
            labels={**self.labels(app or name, service), **(labels or {})},
            annotations=annotations or None,
        )

    def service_account(self, namespace: str, name: str) -> None:
        """An identity. Its token is never mounted by itself: pods that need one say so, and for which audience."""
        ServiceAccount(
            f"{namespace}/{name}",
            metadata=self.metadata(name, namespace),
            automount_service_account_token=False,
            opts=self.options(),
        )

    def allow(self, namespace: str, account: str, rules: Sequence[PolicyRuleArgsDict]) -> None:
        """A Role of the account's name in its namespace, bound to it."""
        metadata, subject = self.metadata(account, namespace), _subject(namespace, account)
        Role(f"{namespace}/{account}", metadata=metadata, rules=rules, opts=self.options())
        RoleBinding(
            f"{namespace}/{account}",
            metadata=metadata,
            role_ref={"api_group": RBAC, "kind": "Role", "name": account},
            subjects=[subject],
            opts=self.options(),
        )

    def allow_everywhere(self, name: str, namespace: str, account: str, rules: Sequence[PolicyRuleArgsDict]) -> None:
        """A ClusterRole, bound to an account: for what no namespace can hold."""
        metadata, subject = self.metadata(name), _subject(namespace, account)
        ClusterRole(name, metadata=metadata, rules=rules, opts=self.options())
        ClusterRoleBinding(
            name,
            metadata=metadata,
            role_ref={"api_group": RBAC, "kind": "ClusterRole", "name": name},
            subjects=[subject],
            opts=self.options(),
        )


def _subject(namespace: str, account: str) -> SubjectArgsDict:
    return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
