"""What is declared outside the platform's namespaces, and for the whole cluster, where nobody expects it."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from policies.backstop import Backstop, Suspect
from policies.context import Platform, platform
from policies.objects import at, breaks, name, namespace
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import CLOUD_KINDS, KINDS, NAMESPACES
from schemas.reviewed.elsewhere import NAMESPACED, PRIORITY_CLASS, Place, elsewhere, near

SYSTEM: Final = "kube-"  # the cluster's own namespaces: kube-system, kube-public, kube-node-lease
OURS: Final = "flameplane-"
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
ON_A_NODE: Final = ("hostPath", "local", "nfs")  # volumes that are somebody's files already


def _elsewhere(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    yield from _for_all(manifests, found)
    suspects = list(_strangers(manifests, found))
    if not suspects:
        return
    from policies.rules import RULES  # noqa: PLC0415  this module is one of them

    others = [rule for rule in RULES if rule.id != "FP057"]
    # Of the object itself only what nobody can waive counts; of one that was moved, what misses it where it was.
    itself, missing = Backstop(manifests, [r for r in others if not r.waivable]), Backstop(manifests, others)
    for violation, manifest in suspects:
        if not itself.says(Suspect(violation, manifest, None)) and not any(
            missing.says(Suspect(violation, manifest, moved)) for moved in _moved(manifest, found)
        ):
            yield violation


def _strangers(manifests: Sequence[Manifest], found: Platform) -> Iterator[tuple[Violation, Manifest]]:
    """Objects in namespaces of others that the platform knows of, or of the cluster itself, that nobody reviewed."""
    known, spaces = set(elsewhere(found.settings, found.catalog)), near(found.settings, found.catalog)
    for manifest in manifests:
        place = Place(str(manifest.get("kind")), namespace(manifest), name(manifest))
        if place.kind not in NAMESPACED or place.namespace in NAMESPACES or place in known:
            continue
        there = place.namespace in spaces or place.namespace.startswith(SYSTEM)
        if there:
            yield (
                breaks(manifest, "stands outside the platform's namespaces, where it declares nothing like it"),
                manifest,
            )


def _moved(manifest: Manifest, found: Platform) -> Iterator[dict[str, Any]]:
    """The object in each namespace of the platform that has none of its name."""
    for where in NAMESPACES:
        if manifest.get("kind") != "Namespace" and not found.find(str(manifest.get("kind")), where, name(manifest)):
            yield {**manifest, "metadata": {**(manifest.get("metadata") or {}), "namespace": where}}


def _for_all(manifests: Sequence[Manifest], found: Platform) -> Iterator[Violation]:
    """Volumes and classes of the whole cluster. Those that are called as the platform's are, rule FP051 compares."""
    ours = found.settings.backend.volumes.storage_class
    for manifest in manifests:
        kind, called = manifest.get("kind"), name(manifest)
        if kind == "PersistentVolume" and not called.startswith(OURS):
            storage_class = at(manifest, "spec", "storageClassName") or ""
            if storage_class == ours or at(manifest, "spec", "claimRef", "namespace") in NAMESPACES:
                yield breaks(manifest, f"may be bound by a claim of the platform (class {storage_class or 'none'})")
            elif source := next((s for s in ON_A_NODE if at(manifest, "spec", s) is not None), None):
                yield breaks(manifest, f"makes files that exist already a volume ({source})")
        elif kind == "StorageClass":
            default = str((at(manifest, "metadata", "annotations") or {}).get(DEFAULT_CLASS)).lower() == "true"
            if called == ours or called.startswith(OURS) or default:
                how = "is the class of the platform's volumes" if called == ours else "is no class that was reviewed"
                yield breaks(manifest, f"{how}; the cluster has it, and it is not declared here")
        elif kind == "PriorityClass" and called != PRIORITY_CLASS:
            if at(manifest, "globalDefault"):
                yield breaks(manifest, "ranks all pods of the cluster that name no class (globalDefault)")
            elif called.startswith(OURS):
                yield breaks(manifest, "is no class that was reviewed: no program of the platform names it")


RULES: Final = (
    Rule(
        id="FP057",
        name="inside-its-namespaces",
        why="What is declared in kube-system, in a team's namespace or for the whole cluster is looked at by no other "
        "rule: one ConfigMap there gives away the cluster, one volume the profiles.",
        remediation="Declare it in one of the platform's namespaces, or leave it out. What an existing Grafana and the "
        "demo need elsewhere stands in schemas/reviewed/elsewhere.py; one more is added there, for review.",
        kinds=(*KINDS, *CLOUD_KINDS, SETTINGS),  # those of the other rules too
        check=_elsewhere,
        scope="stack",
        waivable=False,
    ),
)
