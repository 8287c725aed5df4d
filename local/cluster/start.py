"""Starting the parts in the order in which they need each other; data of an earlier start is used."""

import time
from collections.abc import Callable
from pathlib import Path

from local import LocalError
from local.cluster import cgroups, components, images, node, pki
from local.cluster.api import Api
from local.cluster.layout import NODE_PATH, Layout
from local.cluster.parts import Parts
from local.cluster.processes import Process, spawn, tail
from local.cluster.progress import Progress, step
from local.process import run

DNS_MANIFEST = Path(__file__).with_name("coredns.yaml")
WAIT_SECONDS = 120.0  # for each part, on a slow machine
POLL_SECONDS = 0.1


def start(layout: Layout, parts: Parts, progress: Progress) -> dict[str, Process]:
    """Bring everything up until the node and the cluster's DNS are ready; the processes by name."""
    processes: dict[str, Process] = {}
    commands = components.commands()
    layout.root.mkdir(mode=0o700, exist_ok=True)
    groups = cgroups.create(layout.cgroup)

    def begin(*names: str) -> None:
        for name in names:
            log = layout.logs / f"{name}.log"
            processes[name] = spawn(place.command(*commands[name]), groups=groups, log=log, path=NODE_PATH)

    def wait(what: str, done: Callable[[], bool]) -> None:
        _wait(what, done, processes, layout)

    with step(progress, "node: namespaces, root folder, network"):
        node.write_disk(layout.disk, components.KUBERNETES, components.files(layout.cgroup))
        log = layout.logs / "node.log"
        place = node.start(layout.disk, parts.tree, parts.kube, groups=groups, log=log, owner=layout.owner)
        processes["node"] = place.holder
        begin("containerd", "etcd")
    with step(progress, "certificates"):
        pki.make(place, layout.disk)
        _write_client(layout, parts.kube)
    with step(progress, "API server, images"):
        begin("kube-apiserver")
        wait("containerd", Path(f"/proc/{place.holder.pid}/root{components.CONTAINERD_SOCKET}").exists)
        for image in parts.images:
            images.load(layout, place, image)
        api = Api(layout.pki)
        wait("the API server", api.ready)
    with step(progress, "node Ready"):
        begin("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        _apply_dns(layout)
        wait("the node", api.node_ready)
    with step(progress, "cluster DNS"):
        wait("CoreDNS", api.dns_ready)
    return processes


def _wait(what: str, done: Callable[[], bool], processes: dict[str, Process], layout: Layout) -> None:
    """Poll until `done`; a component that ended meanwhile is shown with the end of its log."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not done():
        for name, process in processes.items():
            if not process.alive():
                raise LocalError(f"{name} ended while waiting for {what}.{tail(layout.logs / f'{name}.log')}")
        if time.monotonic() > deadline:
            raise LocalError(f"{what} was not ready within {WAIT_SECONDS:.0f} s. The logs are in {layout.logs}.")
        time.sleep(POLL_SECONDS)


def _write_client(layout: Layout, kube: Path) -> None:
    """The administrator's kubeconfig, and kubectl of the same version."""
    pki.write_kubeconfig(layout.pki, "admin", layout.kubeconfig)
    layout.kubectl.parent.mkdir(exist_ok=True)
    layout.kubectl.unlink(missing_ok=True)
    layout.kubectl.symlink_to(kube)


def _apply_dns(layout: Layout) -> None:
    kubectl = [str(layout.kubectl), f"--kubeconfig={layout.kubeconfig}"]
    run([*kubectl, "apply", "--server-side", f"--filename={DNS_MANIFEST}"], doing="install the cluster's DNS")
