"""What a recording amounts to: objects by layer and kind, objects per service, images that are still open."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from flameplane.findings import Finding, format_findings
from flameplane.plan.manifests import cloud_kind, manifest, title
from flameplane.plan.recording import Recording, Resource
from flameplane.plan.values import walk
from schemas.images import ImagesLock

LAYERS: Final = ("foundation", "access", "collection", "backend", "correlation", "regression", "cost", "cloud", "demo")
_COMPONENT: Final = re.compile(r"flameplane:(?P<layer>[a-z]+):\w+")
_NOT_LOCKED: Final = ":not-locked"  # see schemas.images.ImagesLock.reference
_OPEN: Final = re.compile(rf"[a-z0-9.:-]+(?:/[a-z0-9._-]+)+{_NOT_LOCKED}")


@dataclass(frozen=True)
class OpenImage:
    """An image without a digest: its entry of images.lock, what it waits for, and the objects that need it."""

    name: str
    what: str
    objects: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """Counts of Kubernetes objects and, as ``s3/Bucket``, of cloud resources. ``per_service``: objects labelled with
    the one service they were made for."""

    layers: dict[str, dict[str, int]]
    per_service: dict[str, int]
    services: int
    open_images: tuple[OpenImage, ...]

    @property
    def objects(self) -> int:
        """All Kubernetes objects and cloud resources."""
        return sum(sum(kinds.values()) for kinds in self.layers.values())

    @property
    def most(self) -> tuple[str, int]:
        """The service with the most objects of its own, and how many."""
        return max(self.per_service.items(), key=lambda item: item[1], default=("", 0))


def summarise(recording: Recording, root: Path, services: int) -> Summary:
    """Count ``recording``; ``services`` is the number of declared services."""
    layers: dict[str, Counter[str]] = {}
    per_service: Counter[str] = Counter()
    needed: dict[str, dict[str, None]] = {}
    for resource in recording.resources:
        if kind := cloud_kind(resource):
            layers.setdefault(layer_of(recording, resource), Counter())[kind] += 1
        if (obj := manifest(resource)) is None:
            continue
        layers.setdefault(layer_of(recording, resource), Counter())[str(obj["kind"])] += 1
        if service := ((obj.get("metadata") or {}).get("labels") or {}).get("flameplane.dev/service"):
            per_service[str(service)] += 1
        for reference in _open_references(obj):
            needed.setdefault(reference, {})[title(obj)] = None
    known = [*(name for name in LAYERS if name in layers), *sorted(layers.keys() - set(LAYERS))]
    return Summary(
        layers={name: dict(sorted(layers[name].items())) for name in known},
        per_service=dict(sorted(per_service.items())),
        services=services,
        open_images=tuple(_open_image(root, ref, tuple(objects)) for ref, objects in sorted(needed.items())),
    )


def layer_of(recording: Recording, resource: Resource) -> str:
    """The layer of the nearest component around a resource."""
    for ancestor in recording.ancestors(resource):
        if (found := _COMPONENT.fullmatch(ancestor.type)) and found["layer"] != "index":
            return found["layer"]
    return "other"


def as_json(stack: str, summary: Summary | None, findings: list[Finding]) -> dict[str, Any]:
    """The plan as a document; docs/plan.md describes it. Nothing in it differs between two runs on the same files.

    ``summary`` is None when the declared files have findings, so that the program was not run.
    """
    count = Counter(f.severity for f in findings)
    document: dict[str, Any] = {
        "version": 1,
        "stack": stack,
        "passes": not count["error"],
        "errors": count["error"],
        "warnings": count["warning"],
        "objects": None,
        "services": None,
        "openImages": [],
        "findings": [asdict(f) for f in findings],
    }
    if summary:
        service, most = summary.most
        own = sum(summary.per_service.values())
        document["objects"] = {"total": summary.objects, "layers": summary.layers}
        document["services"] = {
            "declared": summary.services,
            "objects": own,
            "most": {"service": service, "objects": most},
        }
        document["openImages"] = [asdict(image) for image in summary.open_images]
    return document


def as_text(stack: str, summary: Summary, findings: list[Finding], root: Path, more: Iterable[str] = ()) -> str:
    """The plan for people; ``more`` are lines that stand before the findings."""
    lines = [f"Stack {stack}: what the program declares; no cluster and no cloud was asked.", "", "Objects by layer"]
    width = max((len(name) for name in summary.layers), default=0)
    for name, kinds in summary.layers.items():
        shown = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        lines.append(f"  {name:<{width}}  {sum(kinds.values()):>4}  {shown}")
    service, most = summary.most
    each = f"{summary.objects / summary.services:.1f}" if summary.services else "no"
    own = sum(summary.per_service.values())
    lines += ["", "Services", f"  {summary.services} declared, {each} objects per service in all"]
    lines.append(f"  {own} objects made for one service alone" + (f", at most {most} ({service})" if most else ""))
    if summary.open_images:
        lines += ["", "Images still open"]
        for image in summary.open_images:
            lines += [f"  {image.name}: {image.what}", f"    needed by {', '.join(image.objects)}"]
    if further := list(more):
        lines += ["", *further]
    text = "\n".join(lines) + "\n\n"
    if findings:
        text += f"Findings\n{format_findings(findings, 'text', root)}\n"
    return text + verdict(summary, findings) + "\n"


def verdict(summary: Summary, findings: Iterable[Finding]) -> str:
    """One line: how much, and whether it passes."""
    count = Counter(f.severity for f in findings)
    parts = [_many(summary.objects, "object"), *(_many(count[s], s) for s in ("error", "warning", "note") if count[s])]
    return f"{', '.join(parts)}: {'does not pass' if count['error'] else 'passes'}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _open_references(obj: dict[str, Any]) -> set[str]:
    """Also in expressions and configuration: injected agents are named in admission policies."""
    texts = (value for _, value in walk(obj) if isinstance(value, str) and _NOT_LOCKED in value)
    return {found for text in texts for found in _OPEN.findall(text)}


def _open_image(root: Path, reference: str, objects: tuple[str, ...]) -> OpenImage:
    lock = ImagesLock.model_validate_json((root / "images.lock").read_text())
    for name, image in lock.images.items():
        if reference.removesuffix(_NOT_LOCKED).endswith(f"/{image.repository}"):
            return OpenImage(name, image.what, objects)
    return OpenImage(reference, "not in images.lock", objects)
