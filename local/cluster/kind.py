"""The same four calls on kind with Docker, for machines where our own cluster cannot run (macOS, no root).

Only an adapter: kind makes the cluster, in its own networks, with a kubeconfig of ours. Written against kind's
documented commands; not run where this project is developed, which has no Docker daemon.
"""

import shutil
from pathlib import Path

from local import LocalError, cache
from local.cluster.layout import NAME, ClusterInfo, Layout
from local.cluster.progress import Progress, silent, step
from local.process import run


def up(progress: Progress = silent) -> ClusterInfo:
    """Create the cluster unless kind has one of our name."""
    layout = Layout.current()
    info = _info(layout)
    layout.kubeconfig.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kubeconfig = f"--kubeconfig={layout.kubeconfig}"
    if not _exists():
        with step(progress, "kind cluster"):
            _kind("create", "cluster", f"--name={NAME}", kubeconfig, "--wait=120s", doing="create the kind cluster")
    with step(progress, "kubeconfig"):
        layout.kubeconfig.unlink(missing_ok=True)
        _kind("export", "kubeconfig", f"--name={NAME}", kubeconfig, doing="write the kubeconfig")
        # kind names its context kind-<cluster>; ours has one name whatever made the cluster.
        run(
            [info.kubectl, kubeconfig, "config", "rename-context", f"kind-{NAME}", NAME],
            doing="name the context",
        )
    return info


def down(progress: Progress = silent) -> None:
    """Delete the cluster and our kubeconfig."""
    layout = Layout.current()
    with step(progress, "kind cluster"):
        _kind("delete", "cluster", f"--name={NAME}", f"--kubeconfig={layout.kubeconfig}", doing="delete the cluster")
        cache.remove(layout.root)


def status() -> ClusterInfo | None:
    """The cluster if kind knows it and its API server answers."""
    layout = Layout.current()
    if not layout.kubeconfig.exists() or not _exists():
        return None
    info = _info(layout)
    try:
        run([info.kubectl, f"--kubeconfig={layout.kubeconfig}", "get", "--raw=/readyz"], doing="ask the API server")
    except LocalError:
        return None
    return info


def load_image(archive: Path) -> None:
    """Load a docker-archive into kind's node."""
    _kind("load", "image-archive", str(archive), f"--name={NAME}", doing=f"load {archive.name}")


def _info(layout: Layout) -> ClusterInfo:
    missing = [tool for tool in ("docker", "kind", "kubectl") if not shutil.which(tool)]
    if missing:
        raise LocalError(f"A kind cluster needs docker, kind and kubectl on PATH. Missing: {', '.join(missing)}.")
    return ClusterInfo(layout.kubeconfig, NAME, Path(str(shutil.which("kubectl"))))


def _exists() -> bool:
    return NAME in _kind("get", "clusters", doing="ask kind for its clusters").split()


def _kind(*words: str, doing: str) -> str:
    return run(["kind", *words], doing=doing)
