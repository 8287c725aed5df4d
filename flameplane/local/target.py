"""Which cluster: our own on this machine, one of ours in kind, or an existing one. The last only when it is named."""

import json
import shutil
from pathlib import Path
from types import ModuleType

from flameplane.local.choice import Choice
from flameplane.local.kubectl import Kubectl
from flameplane.local.problem import Problem
from local import cache, cluster
from local.cluster import ClusterInfo, Progress, kind, preflight


def provider(choice: Choice) -> ModuleType:
    """What makes a cluster of ours: both modules have the same calls."""
    return kind if choice.kind else cluster


def check(choice: Choice) -> None:
    """Whether this machine can do it at all, before anything else is."""
    if choice.ours and not choice.kind:
        preflight.check_host()
        preflight.check_sampling()


def up(choice: Choice, progress: Progress) -> Kubectl:
    """The chosen cluster, made and started if it is ours to make."""
    return _of(provider(choice).up(progress)) if choice.ours else _existing(choice)


def find(choice: Choice) -> Kubectl | None:
    """The chosen cluster if it runs; nothing is started."""
    if not choice.ours:
        return _existing(choice)
    info = provider(choice).status()
    return _of(info) if info else None


def server_version(kubectl: Kubectl) -> tuple[int, int]:
    """Major and minor version of the API server."""
    output = kubectl.run("version", "--output=json", doing="ask the API server for its version")
    server = json.loads(output)["serverVersion"]
    return int(server["major"]), int("".join(c for c in server["minor"] if c.isdigit()))


def identity(kubectl: Kubectl) -> str:
    """What tells this cluster from one that was here before under the same name."""
    (namespace,) = kubectl.get("namespace", "kube-system", doing="identify the cluster")
    return str(namespace["metadata"]["uid"])


def _of(info: ClusterInfo) -> Kubectl:
    return Kubectl(info.kubectl, info.kubeconfig, info.context, cache.root() / "kubectl")


def _existing(choice: Choice) -> Kubectl:
    found = shutil.which("kubectl")
    if not found:
        raise Problem("LOC010", "kubectl is not on PATH.", "install kubectl 1.27 or newer")
    assert choice.kubeconfig
    assert choice.context
    if not choice.kubeconfig.is_file():
        raise Problem("LOC010", f"There is no kubeconfig {choice.kubeconfig}.", "name an existing file by --kubeconfig")
    kubectl = Kubectl(Path(found), choice.kubeconfig, choice.context, cache.root() / "kubectl")
    server_version(kubectl)
    return kubectl
