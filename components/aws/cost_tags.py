"""Tags by which the bill is split, activated once for the whole organisation."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import Provider
from pulumi_aws.costexplorer import CostAllocationTag

from components.aws.site import Site
from components.base import Component


@dataclass(frozen=True)
class CostTagsArgs:
    """The account, and the role in the payer account that may activate tags."""

    site: Site
    payer_role_arn: str


class CostTags(Component):
    """A provider of its own in the payer account, and one activation per tag key.

    Limits: AWS knows a tag key a day after the first resource that carries it; activating it earlier fails. Activations
    stay when the stack goes (``retain_on_delete``), since other environments count by them.
    """

    def __init__(self, name: str, args: CostTagsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "CostTags", name, opts)
        payer = args.payer_role_arn
        provider = Provider(
            "aws-payer",
            region="us-east-1",  # where Cost Explorer's API is
            allowed_account_ids=[payer.split(":")[4]],
            assume_roles=[{"role_arn": payer, "session_name": f"flameplane-{args.site.environment}"}],
            opts=pulumi.ResourceOptions(parent=self),
        )
        for key in ("flameplane:component", "flameplane:environment", *sorted(args.site.cloud.tags)):
            activated = pulumi.ResourceOptions(parent=self, provider=provider, retain_on_delete=True)
            CostAllocationTag(key, tag_key=key, status="Active", opts=activated)
        self.register_outputs({})
