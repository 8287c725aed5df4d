"""The images that `local/` builds: onto the nodes, and into the pods that still run an older build of the same name."""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.steps import Say
from flameplane.local.wait import PLATFORM
from local import images
from local.cluster import Progress


def build_and_load(provider: ModuleType, progress: Progress) -> dict[str, Path]:
    """Image archives by reference, built where they changed and given to the nodes of a cluster of ours."""
    archives = {images.reference(repository): archive for repository, archive in images.build_all(progress).items()}
    for archive in archives.values():
        provider.load_image(archive)
    return archives


def replace_stale_pods(kubectl: Kubectl, archives: Mapping[str, Path], say: Say) -> None:
    """Delete the pods that run an earlier build: the name of a local image says nothing about what is in it.

    The kubelet reports the digest of the image's configuration, which a docker-archive names in its manifest.
    """
    ids = {reference: _image_id(archive) for reference, archive in archives.items()}
    pods = kubectl.get("pods", "--all-namespaces", PLATFORM, doing="look at the pods")
    stale = [pod for pod in pods if _stale(pod, ids)]
    if stale:
        names = ", ".join(pod["metadata"]["name"] for pod in stale)
        say(f"replacing pods that run an earlier build of their image: {names}")
        kubectl.run("delete", "--wait=false", objects=stale, doing="replace pods with an earlier image")


def _stale(pod: Object, ids: Mapping[str, str]) -> bool:
    references = {c["name"]: c["image"] for c in pod["spec"]["containers"]}
    for status in pod.get("status", {}).get("containerStatuses", []):
        wanted, runs = ids.get(references[status["name"]]), status.get("imageID", "")
        if wanted and runs and wanted not in runs:
            return True
    return False


def _image_id(archive: Path) -> str:
    with tarfile.open(archive) as opened:
        member = opened.extractfile("manifest.json")
        assert member is not None, f"{archive} is no docker-archive"
        (manifest,) = json.load(member)
    return Path(manifest["Config"]).name.removesuffix(".json")
