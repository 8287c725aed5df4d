"""What is judged before anything is started: the settings, the services, the program and the policies."""

import os
from collections.abc import Sequence
from pathlib import Path

from flameplane import plan
from flameplane.catalog import load, load_grants, load_settings
from flameplane.findings import Finding
from flameplane.local.kubectl import Object
from flameplane.local.problem import Problem
from flameplane.local.steps import Say
from schemas.images import lock_here
from schemas.settings import Settings

SHOWN = 5  # cloud resources named in a refusal


class Findings(Exception):
    """The declarations do not pass; nothing is applied."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(f"{len(findings)} findings")
        self.findings = list(findings)


def settings(root: Path, stack: str) -> Settings:
    """The settings of the stack, which has to be one that `local up` is for."""
    loaded = load_settings(root, stack)
    if loaded.settings is None:
        raise Findings(loaded.findings)
    if loaded.settings.environment != "local":
        raise Problem(
            "LOC002",
            f"Stack {stack} is environment {loaded.settings.environment}; `local up` is for environment local.",
            f"use `pulumi up -s {stack}`, which applies cloud resources too and keeps state",
        )
    if os.environ.get("FLAMEPLANE_PYROSCOPE") and loaded.settings.backend.architecture == "devstore":
        raise Problem(
            "LOC012",
            f"FLAMEPLANE_PYROSCOPE names a Pyroscope, and stacks/Pulumi.{stack}.yaml declares devstore.",
            "set flameplane:backend.architecture to `process` there, or unset FLAMEPLANE_PYROSCOPE",
        )
    return loaded.settings


def declared(root: Path, stack: str, yes_prune: bool, say: Say) -> list[Object]:
    """The Kubernetes objects that the program declares and the policies let pass."""
    elsewhere = os.environ.get("FLAMEPLANE_SERVICES")
    services = Path(elsewhere) if elsewhere else None
    loaded = load(root, services)
    if loaded.catalog is None:
        raise Findings(loaded.findings)
    granted = load_grants(root, loaded.catalog, services).findings
    if refused := [finding for finding in granted if finding.severity == "error"]:
        raise Findings(refused)
    if not loaded.catalog.services and not yes_prune:
        raise Problem(
            "LOC003",
            "services/ declares no service: every object of a service would be removed.",
            "restore services/; if it is meant, run it again with --yes-prune",
        )
    recording = plan.record(root, stack, services)
    findings = [*plan.check_fields(recording, root), *plan.evaluate(recording, root)]
    if any(finding.severity == "error" for finding in findings):
        raise Findings(findings)
    if cloud := [f"{r.type} {r.name}" for r in recording.resources if plan.cloud_kind(r)]:
        raise Problem(
            "LOC002",
            f"The program declares {len(cloud)} cloud resources, which `local up` does not make:",
            f"remove flameplane:cloud from stacks/Pulumi.{stack}.yaml, or use `pulumi up -s {stack}`",
            cloud[:SHOWN] + ["..."] * (len(cloud) > SHOWN),
        )
    objects = [item for resource in recording.resources if (item := plan.manifest(resource))]
    if unknown := [f"{plan.title(item)} {path}" for item in objects for path, _ in plan.unresolved(item)]:
        raise Problem("LOC002", "Values that are not known before an apply:", f"use `pulumi up -s {stack}`", unknown)
    warnings = f", {len(findings)} warnings of the policies" if findings else ""
    say(f"{len(loaded.catalog.services)} services, {len(objects)} Kubernetes objects{warnings}")
    return objects


def open_images(root: Path, current: Settings) -> dict[str, str]:
    """References of images that cannot run in this environment, with what they wait for."""
    lock = lock_here(root / "images.lock")
    registry = current.images.registry
    return {
        lock.reference(name, registry): f"image {name} is not locked yet: {image.what}"
        for name, image in lock.images.items()
        if not lock.runnable(name, registry)
    }
