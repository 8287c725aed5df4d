"""Grants to export: whole profiles leave the platform by one of these, and by nothing else."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap

from components.base import Component
from components.text import as_yaml
from schemas.allowed import ACCESS_NAMESPACE
from schemas.grant import Grant

NAME: Final = "grants"


@dataclass(frozen=True)
class GrantsArgs:
    """What exports/ declares."""

    grants: tuple[Grant, ...]


class Grants(Component):
    """One ConfigMap for the gateway, one key per grant. It is there without any grant too, so that the last one that is
    deleted goes from the cluster.

    Grants that have expired stay until their files are deleted: what is declared is applied, whatever the time, and the
    gateway takes none of them. Output: ``config_map``, which the gateway mounts.
    """

    config_map: str

    def __init__(self, name: str, args: GrantsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("access", "Grants", name, opts)
        self.config_map = NAME
        ConfigMap(
            f"{ACCESS_NAMESPACE}/{NAME}",
            metadata=self.metadata(NAME, ACCESS_NAMESPACE),
            data=grant_files(args.grants) or None,  # the provider sends no empty data: a plan shows what is sent
            opts=self.options(),
        )
        self.register_outputs({"configMap": self.config_map})


def grant_files(grants: tuple[Grant, ...]) -> dict[str, str]:
    """The grants as the gateway reads them, by the name of the file."""
    return {f"{grant.name}.yaml": as_yaml(grant.model_dump(by_alias=True, mode="json")) for grant in grants}
