"""Image archives into the node's containerd; there is no registry, and nothing is ever pulled."""

import subprocess
from pathlib import Path

from local import LocalError, cache
from local.cluster import cgroups
from local.cluster.layout import Layout
from local.cluster.node import Node
from local.cluster.processes import inside


def load(layout: Layout, node: Node, archive: Path) -> None:
    """Import a docker-archive, unless this file (by path, size and time) was imported before."""
    try:
        facts = archive.stat()
    except OSError as error:
        raise LocalError(f"Cannot read the image archive {archive}: {error.strerror}.") from error
    mark = layout.images / cache.key(str(archive.resolve()), str(facts.st_size), str(facts.st_mtime_ns))
    if mark.exists():
        return
    # Through standard input: the node does not see the host's files.
    command = node.command("/usr/bin/ctr", "--namespace=k8s.io", "images", "import", "-")
    command = inside(command, cgroups.create(layout.cgroup))
    with archive.open("rb") as content:
        done = subprocess.run(command, stdin=content, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalError(f"Could not import {archive.name}: {done.stderr.strip() or done.stdout.strip()}")
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
