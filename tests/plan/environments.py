"""The project's environments as they are recorded, once per test session: tests of rendered objects share them."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from variants import Project

from benchmarks.fleet import generate
from flameplane import catalog
from flameplane.plan import manifest, record
from policies import resources
from schemas.catalog import Catalog
from schemas.images import ImagesLock
from schemas.settings import Settings

# Environment -> (stack, whether every entry of images.lock is locked). Some objects are rendered only for images that
# can be run: the last variant, with made-up digests, shows them all.
ENVIRONMENTS = {
    "local": ("local", False),
    "dev": ("dev", False),
    "staging": ("staging", False),
    "prod": ("prod", False),
    "prod with all images": ("prod", True),
}
# The same environments for a company of this size, with every image locked: that renders all there is.
FLEET_SERVICES = 200
FLEETS = {f"{stack} of {FLEET_SERVICES} services": stack for stack in ("local", "dev", "staging", "prod")}


@dataclass(frozen=True)
class Environment:
    """What one environment renders to, and what from. ``cloud``: resources beside Kubernetes and the settings, as rules
    see them (policies/resources.py)."""

    name: str
    manifests: tuple[dict[str, Any], ...]
    settings: Settings
    catalog: Catalog
    lock: ImagesLock
    cloud: tuple[Mapping[str, Any], ...] = ()


def rendered(name: str, root: Path, scratch: Path) -> Environment:
    """Record an environment. ``scratch``: where a copy of the project goes if it needs one."""
    stack, locked = (FLEETS[name], True) if name in FLEETS else ENVIRONMENTS[name]
    project = Project(root, scratch, locked=True).folder if locked else root
    if name in FLEETS:
        shutil.rmtree(project / "services")
        generate(project, FLEET_SERVICES)
    recording = record(project, stack)
    manifests = tuple(m for resource in recording.resources if (m := manifest(resource)))
    settings, declared = catalog.load_settings(root, stack).settings, catalog.load(project).catalog
    assert settings and declared
    lock = ImagesLock.model_validate_json((project / "images.lock").read_text())
    beside = [
        m
        for r in recording.resources
        if r.custom
        and not r.type.startswith("kubernetes:")
        and (m := resources.manifest(r.type, r.name, r.inputs, protect=r.protect))
    ]
    beside.append(resources.settings(stack, recording.config) or {})
    return Environment(name, manifests, settings, declared, lock, tuple(beside))
