"""One customer-managed key and its alias."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.kms import Alias, Key

from components.aws.site import Site
from components.base import Component

ROTATION_DAYS: Final = 365  # a new key material each year; old objects stay readable
DELETION_DAYS: Final = 30  # the longest that AWS waits before it deletes a key for good


@dataclass(frozen=True)
class EncryptionKeyArgs:
    """What the key is for, and who may do what with it."""

    site: Site
    purpose: str
    policy: str


class EncryptionKey(Component):
    """Key with rotation, and the alias by which everything refers to it. Output: ``alias``, to wait for.

    Limits: symmetric, one region. Without the key its bucket is unreadable for ever: give it ``protect`` and
    ``retain_on_delete``.
    """

    alias: Alias

    def __init__(self, name: str, args: EncryptionKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "EncryptionKey", name, opts)
        site, purpose = args.site, args.purpose
        key = Key(
            f"{purpose}-key",
            description=f"Flameplane {site.environment}: {purpose}",
            key_usage="ENCRYPT_DECRYPT",
            policy=args.policy,
            bypass_policy_lockout_safety_check=False,
            enable_key_rotation=True,
            rotation_period_in_days=ROTATION_DAYS,
            deletion_window_in_days=DELETION_DAYS,
            tags=site.tags(purpose),
            opts=self.options(),
        )
        self.alias = Alias(f"{purpose}-key", name=site.alias(purpose), target_key_id=key.key_id, opts=self.options())
        self.register_outputs({"alias": site.alias_arn(purpose)})
