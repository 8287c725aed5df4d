"""Folders of the node that static volumes lie in: Kubernetes makes none for a volume of type `local`.

On an existing cluster they are its owner's to make; the pod's reason then names the path.
"""

from collections.abc import Sequence

from flameplane.local.choice import Choice
from flameplane.local.kubectl import Object
from local.cluster.layout import NAME, Layout
from local.process import run


def make_folders(choice: Choice, objects: Sequence[Object]) -> None:
    """Make the folder of every declared volume on the one node of a cluster of ours."""
    paths = [item["spec"]["local"]["path"] for item in objects if _is_local_volume(item)]
    if choice.kind and paths:
        node = f"{NAME}-control-plane"  # as kind names the only node's container
        run(["docker", "exec", node, "mkdir", "-p", *paths], doing="make the folders of volumes on kind's node")
    elif choice.ours:
        for path in paths:
            (Layout.current().disk / path.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _is_local_volume(item: Object) -> bool:
    return item["kind"] == "PersistentVolume" and "local" in item["spec"]
