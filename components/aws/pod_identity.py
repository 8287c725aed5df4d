"""A role for one service account."""

from dataclasses import dataclass

import pulumi
from pulumi_aws.eks import PodIdentityAssociation
from pulumi_aws.iam import Role, RolePolicy

from components.aws.roles import PodRole, trust
from components.aws.site import Site
from components.base import Component

SESSION_SECONDS = 3600  # the shortest that a role may have; EKS renews before the end


@dataclass(frozen=True)
class PodIdentityArgs:
    """The account, and what the role may do."""

    site: Site
    role: PodRole


class PodIdentity(Component):
    """Role, its only policy, and its association with the service account.

    Outputs, to wait for: ``role``, since a key that names a role is refused before the role exists; ``association``.

    Limits: the cluster's add-on eks-pod-identity-agent is the cluster's, not declared here. A pod gets the role when it
    starts: pods that ran before the association have to be restarted once.
    """

    role: Role
    association: PodIdentityAssociation

    def __init__(self, name: str, args: PodIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "PodIdentity", name, opts)
        site, account, namespace = args.site, args.role.account, args.role.namespace
        self.role = Role(
            account,
            name=site.role(account),
            description=f"Service account {namespace}/{account} of Flameplane, environment {site.environment}",
            assume_role_policy=trust(site, namespace, account),
            max_session_duration=SESSION_SECONDS,
            tags=site.tags("identity"),
            opts=self.options(),
        )
        policy = RolePolicy(
            account,
            name=args.role.bucket,
            role=site.role(account),
            policy=args.role.policy,
            opts=self.options([self.role]),
        )
        self.association = PodIdentityAssociation(
            account,
            cluster_name=site.cloud.eks_cluster,
            namespace=namespace,
            service_account=account,
            role_arn=site.role_arn(account),
            tags=site.tags("identity"),
            opts=self.options([policy]),
        )
        self.register_outputs({"role": site.role_arn(account)})
