"""Images: by digest, or built here. images.lock holds the digests; an entry without one is open."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from policies.objects import WORKLOADS, at, breaks, containers, items, name, namespace, pod
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import NAMESPACES
from schemas.settings.environments import public_registry

LOCKED: Final = re.compile(r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}$")
LOCAL: Final = re.compile(r"^localhost(/[a-z0-9._-]+)+:local$")
LOCK_FILE: Final = Path(__file__).resolve().parents[2] / "images.lock"
# Where images stand in CEL: the container that is injected, and those that a guard lets in.
IMAGE_KINDS: Final = ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy")
IN_CEL: Final = (
    re.compile(r"\bimage: *[\"']([^\"']*)[\"']"),
    re.compile(r"\bimage (?:in|==) *(\[[^\]]*\]|[\"'][^\"']*[\"'])"),
)
QUOTED: Final = re.compile(r"[\"']([^\"']*)[\"']")


def _locked(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    yield from from_everybody(manifests)
    yield from in_expressions(manifests)
    workloads = [m for m in manifests if m.get("kind") in WORKLOADS]
    yield from _of_pods(workloads)
    registry = _registry(manifests)
    for container in (c for m in workloads if namespace(m) in NAMESPACES for c in containers(m)):
        image = str(container.body.get("image") or "")
        if _elsewhere(image, registry) and not _not_in_the_lock(image):
            yield container.breaks(f"runs {image}, which is not of the environment's registry {registry}")


def in_expressions(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """Images that admission policies of the platform name. One that is open is refused or not injected: it waits."""
    registry = _registry(manifests)
    policies = (m for m in manifests if m.get("kind") in IMAGE_KINDS and name(m).startswith("flameplane-"))
    for policy in policies:
        for image in dict.fromkeys(_named(policy)):
            if is_open(image) or LOCAL.match(image):
                continue
            if not LOCKED.match(image):
                yield breaks(policy, f"names image {image or '?'}, which is not locked: no digest (`...@sha256:...`)")
            elif why := _not_in_the_lock(image):
                yield breaks(policy, f"names image {image}, which is not locked: {why}")
            elif _elsewhere(image, registry):
                yield breaks(policy, f"names image {image}, which is not of the environment's registry {registry}")


def from_everybody(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """Settings by which images come from a registry that serves everybody. `validate` says the same (SET089)."""
    for settings in (m for m in manifests if m.get("kind") == SETTINGS):
        registry, name = str(at(settings, "spec", "images", "registry") or ""), at(settings, "spec", "environment")
        if name not in (None, "local") and (found := public_registry(registry)):
            yield Violation(f"the settings of {name} name {found}, which serves everybody: no registry of its own")


def _registry(manifests: Sequence[Manifest]) -> str:
    """Where the settings say that images are pulled from; nothing where that is wrong already."""
    if any(True for _ in from_everybody(manifests)):
        return ""
    return next((str(at(m, "spec", "images", "registry") or "") for m in manifests if m.get("kind") == SETTINGS), "")


def _elsewhere(image: str, registry: str) -> bool:
    """Whether a reference that can be read names another registry than the settings do; no settings, no answer."""
    known = LOCKED.match(image) or LOCAL.match(image) or is_open(image)
    return bool(registry and known) and image.partition("@")[0].rpartition("/")[0] != registry


def _named(policy: Manifest) -> Iterator[str]:
    entries = [e for field in ("mutations", "validations", "variables") for e in items(at(policy, "spec", field))]
    for entry in entries:
        for form in (entry, entry.get("applyConfiguration") or {}, entry.get("jsonPatch") or {}):
            text = str(form.get("expression") or "")
            yield from IN_CEL[0].findall(text)
            for listed in IN_CEL[1].findall(text):
                yield from QUOTED.findall(listed)


def _of_pods(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for container in (c for m in manifests for c in containers(m)):
        image, pull = str(container.body.get("image") or ""), container.body.get("imagePullPolicy")
        local = image.startswith("localhost/")
        if is_open(image):
            if not local:
                yield container.breaks(f"waits for its image: {waits_for(image)}")
        elif not LOCKED.match(image) and not LOCAL.match(image):
            yield container.breaks(f"runs {image or 'no image'}, which is not locked: no digest (`...@sha256:...`)")
        elif why := _not_in_the_lock(image):
            yield container.breaks(f"runs {image}, which is not locked: {why}")
        if local and pull != "Never":
            yield container.breaks(
                f"may pull {image} (imagePullPolicy {pull or 'unset'}); use Never: localhost is no registry"
            )
    for manifest in manifests:
        for volume in items(pod(manifest).get("volumes")):
            image = str((volume.get("image") or {}).get("reference") or "")
            if volume.get("image") and not LOCKED.match(image):
                yield breaks(
                    manifest, f"mounts image {image or '?'} (volume {volume.get('name')}), which has no digest"
                )


def _open(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for container in (c for m in manifests for c in containers(m)):
        if is_open(image := str(container.body.get("image") or "")) and image.startswith("localhost/"):
            yield container.breaks(f"cannot start yet: {waits_for(image)}")


def _not_in_the_lock(image: str) -> str | None:
    """What images.lock says against an image that has a digest; nothing where the lock cannot be read."""
    base, _, digest = image.partition("@")
    entries = [e for repository, e in _entries().items() if base.removesuffix(":local").endswith(f"/{repository}")]
    if _entries() and not entries:
        return "images.lock has no such image"
    locked = entries[0].get("digest") if entries else None
    return f"images.lock has {locked}" if digest and locked and digest != locked else None


def is_open(image: str) -> bool:
    """Whether the reference is that of an open entry: the tag ``not-locked``, which no registry serves."""
    return image.endswith(":not-locked")


def waits_for(image: str) -> str:
    """What an open entry waits for, in the words of images.lock."""
    base = image.removesuffix(":not-locked")
    missing = f"nothing builds {base}" if base.startswith("localhost/") else f"images.lock has no digest for {base}"
    known = [what for repository, what in _lock().items() if base.endswith(f"/{repository}")]
    return f"{missing} ({known[0]})" if known else missing


def digest(repository: str) -> str:
    """The digest that images.lock has; of an open entry any other one is as good."""
    return str(_entries().get(repository, {}).get("digest") or f"sha256:{'0' * 64}")


def _lock() -> dict[str, str]:
    """Repository -> what it is and waits for."""
    return {repository: str(entry["what"]) for repository, entry in _entries().items()}


@lru_cache(maxsize=1)
def _entries() -> dict[str, dict[str, Any]]:
    """The entries of images.lock by repository. `validate` says when the file is missing or wrong."""
    if not LOCK_FILE.is_file():
        return {}
    return {entry["repository"]: entry for entry in yaml.safe_load(LOCK_FILE.read_text())["images"].values()}


RULES: Final = (
    Rule(
        id="FP005",
        name="locked-images",
        why="A tag can be moved under a running platform; a digest names the bytes that were reviewed, and a registry "
        "who answers for them.",
        remediation="Add the image to images.lock and fill in its digest by `flameplane images lock`; images that "
        "`local/` builds are `localhost/<repository>:local` with imagePullPolicy Never.",
        kinds=(*WORKLOADS, *IMAGE_KINDS, SETTINGS),
        check=_locked,
        scope="stack",
    ),
    Rule(
        id="FP013",
        name="open-images",
        why="In environment local a program whose image nobody builds yet may be declared: its pod waits and "
        "everything else works. Every other environment must not roll out a pod that cannot start (FP005).",
        remediation="Build the image (`local: true` in images.lock) or ignore it until the program exists.",
        kinds=WORKLOADS,
        check=_open,
        severity="warning",
    ),
)
