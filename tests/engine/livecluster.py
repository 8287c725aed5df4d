"""The local cluster as `pulumi up` needs it: images on the node, no platform yet, keys made while `up` runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import local.cluster
from flameplane import plan
from flameplane.catalog import load_settings
from flameplane.local import secrets, volumes
from flameplane.local.choice import Choice
from flameplane.local.kubectl import Kubectl
from local import images
from local.cluster import record
from local.cluster.layout import Layout
from schemas.allowed import BACKEND_NAMESPACE, NAMESPACES


class NotOurs(Exception):
    """The cluster has a platform that somebody else made."""


@contextmanager
def empty_cluster(scratch: Path) -> Iterator[Kubectl]:
    """A cluster without the platform; taken down afterwards if it was started here.

    Raises ``local.cluster.CannotRun`` where the machine lacks something, and `NotOurs`: what another stack or `make up`
    made is not ours to take over or to delete.
    """
    was_up = record.read(Layout.current().record) is not None
    info = local.cluster.up()
    try:
        kubectl = Kubectl(info.kubectl, info.kubeconfig, info.context, scratch)
        if kubectl.get("namespaces", *NAMESPACES, doing="look for the platform"):
            raise NotOurs("the platform is already on the local cluster; `make down` first")
        for archive in images.build_all(lambda _step, _seconds: None).values():
            local.cluster.load_image(archive)
        yield kubectl
    finally:
        if not was_up:
            local.cluster.down()


@contextmanager
def prepared(root: Path, kubectl: Kubectl) -> Iterator[None]:
    """What `local up` adds to the program: folders for the volumes before `up`, and while it runs the Secret that the
    object storage waits for, as soon as there is a namespace for it."""
    volumes.make_folders(Choice(), [m for r in plan.record(root, "local").resources if (m := plan.manifest(r))])
    settings = load_settings(root, "local").settings
    assert settings is not None
    storage = settings.backend.object_storage
    name = storage.credentials_secret
    assert name
    over = threading.Event()

    def make() -> None:
        while not over.wait(1):
            if kubectl.get("namespace", BACKEND_NAMESPACE, doing="look for the namespace"):
                secrets.ensure(kubectl, name, storage.bucket)
                return

    maker = threading.Thread(target=make)
    maker.start()
    try:
        yield
    finally:
        over.set()
        maker.join()
