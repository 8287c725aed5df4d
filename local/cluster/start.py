"""Starting the parts in the order in which they need each other; data of an earlier start is used."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from local import LocalError
from local.cluster import cgroups, components, dns, images, node, pki
from local.cluster.api import Api
from local.cluster.components import DNS_MANIFEST
from local.cluster.layout import NODE_BIN, Layout
from local.cluster.parts import Parts
from local.cluster.processes import Process, spawn, tail
from local.cluster.progress import Progress, step

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
            processes[name] = spawn(place.command(*commands[name]), groups=groups, log=log)

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
        since = datetime.now(UTC)
        begin("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        kubectl = (f"{NODE_BIN}/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
        place.run(*kubectl, "apply", "--server-side", f"--filename={DNS_MANIFEST}", doing="install the cluster's DNS")
        wait("the node", lambda: api.node_ready(since))
    with step(progress, "cluster DNS"):
        wait("CoreDNS", dns.answers)
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
    layout.kubeconfig.touch(mode=0o600)
    layout.kubeconfig.write_bytes((layout.disk / "etc/kubernetes/admin.conf").read_bytes())
    layout.kubectl.parent.mkdir(exist_ok=True)
    layout.kubectl.unlink(missing_ok=True)
    layout.kubectl.symlink_to(kube)
