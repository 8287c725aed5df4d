"""Static volumes for environment local, where no provisioner makes any."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import PersistentVolume

from components.base import Component
from schemas.allowed import BACKEND_NAMESPACE
from schemas.settings import Volumes

PROFILES_CLAIM: Final = "profiles"
METASTORE_CLAIM: Final = "metastore"
BLOCKS_CLAIM: Final = "blocks"


@dataclass(frozen=True)
class StaticVolumesArgs:
    """Sizes, and the node's folder, which must be set."""

    volumes: Volumes


class StaticVolumes(Component):
    """One PersistentVolume for each claim of a backend, bound to it by name: those of devstore and of Pyroscope.
    A volume that was bound serves no other claim; who changes the backend finds the data of the other again.

    ``local`` and not ``hostPath``: only then does the kubelet hand the folder to the pod's group, so that a pod without
    root can write. The folders ``<hostPath>/<claim>`` must exist on the node.
    """

    def __init__(self, name: str, args: StaticVolumesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("backend", "StaticVolumes", name, opts)
        self._volume(args.volumes, PROFILES_CLAIM, "devstore", args.volumes.metastore)
        self._volume(args.volumes, METASTORE_CLAIM, "pyroscope", args.volumes.metastore)
        if args.volumes.blocks:
            self._volume(args.volumes, BLOCKS_CLAIM, "object-storage", args.volumes.blocks)
        self.register_outputs({})

    def _volume(self, volumes: Volumes, claim: str, stateful_set: str, size: str) -> None:
        name = f"flameplane-{claim}"
        PersistentVolume(
            name,
            metadata=self.metadata(name),
            spec={
                "capacity": {"storage": size},
                "access_modes": ["ReadWriteOnce"],
                "persistent_volume_reclaim_policy": "Retain",
                "storage_class_name": volumes.storage_class,
                "claim_ref": {"namespace": BACKEND_NAMESPACE, "name": f"{claim}-{stateful_set}-0"},
                "local": {"path": f"{volumes.host_path}/{claim}"},
                # `local` demands a node; in environment local there is one.
                "node_affinity": {
                    "required": {
                        "node_selector_terms": [
                            {"match_expressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]}
                        ]
                    }
                },
            },
            opts=self.options(),
        )
