"""Up, down, status: start what is missing, end what is ours, and know the difference.

`up` after an interrupted `up`, a died component, a reboot or changed sources ends the rest and starts again with the
data kept. `down` deletes the data, so afterwards only the cache of built things is left.
"""

import logging
import time
from pathlib import Path

from local import LocalError, cache
from local.cluster import cgroups, images, network, node, parts, preflight, record
from local.cluster.api import Api
from local.cluster.layout import ClusterInfo, Layout
from local.cluster.progress import Progress, silent, step
from local.cluster.start import start

log = logging.getLogger("flameplane.local")

ANSWER_SECONDS = 15.0  # that a running but busy API server gets before it counts as dead
POLL_SECONDS = 0.1


def up(progress: Progress = silent) -> ClusterInfo:
    """A running cluster; at once if it runs already."""
    layout = Layout.current()
    preflight.check_host()
    with cache.lock(layout.root):
        digest = parts.digest()
        running = record.read(layout.record)
        if running and running.digest == digest and not running.dead() and _answers(layout, ANSWER_SECONDS):
            return layout.info
        preflight.check_room(cache.root(), parts.built())
        for warning in network.check_free(layout.owner):
            log.warning(warning)
        made = parts.make(progress)
        with step(progress, "what an earlier run left"):
            _stop(layout)
        try:
            processes = start(layout, made, progress)
            record.Record(digest, processes).write(layout.record)
        except BaseException:
            _stop(layout)
            raise
    return layout.info


def down(progress: Progress = silent) -> None:
    """No process, interface, control group, mount or file of the cluster; the cache of built things stays."""
    layout = Layout.current()
    preflight.check_host()
    with cache.lock(layout.root):
        with step(progress, "processes, control groups, network"):
            _stop(layout)
        with step(progress, "data of the cluster"):
            cache.remove(layout.root)


def status() -> ClusterInfo | None:
    """The cluster if every process runs and the API server answers."""
    layout = Layout.current()
    return None if problems(layout) else layout.info


def load_image(archive: Path) -> None:
    """Give the node the image(s) of a docker-archive; at once if it has this very file already."""
    layout = Layout.current()
    running = record.read(layout.record)
    if running is None or running.dead():
        raise LocalError(f"Cannot load {archive.name}: the local cluster is not up.")
    images.load(layout, node.Node.of(running.processes["node"]), archive)


def problems(layout: Layout) -> list[str]:
    """Why the cluster cannot be used, in words; nothing when it can."""
    running = record.read(layout.record)
    if running is None:
        return ["it is not up"]
    if dead := running.dead():
        return [f"not running any more: {', '.join(dead)}"]
    return [] if _answers(layout, ANSWER_SECONDS) else ["the API server does not answer"]


def _answers(layout: Layout, seconds: float) -> bool:
    try:
        api = Api(layout.pki)
    except OSError:  # its certificates were deleted
        return False
    deadline = time.monotonic() + seconds
    while not api.ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _stop(layout: Layout) -> None:
    layout.record.unlink(missing_ok=True)
    cgroups.end(layout.cgroup)
    network.wait_gone(layout.owner)
