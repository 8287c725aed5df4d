"""What objects of the platform say of themselves: metadata, by which they are found, kept and changed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.context import environment
from policies.objects import WORKLOADS, at, breaks, items, name, namespace, template
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules.exposure import ROUTES
from schemas.allowed import CLOUD_KINDS, KINDS, NAMESPACES, OBJECT_LABELS, WAIT_ANNOTATION
from schemas.reviewed.pods import POD_ANNOTATION_VALUES
from schemas.reviewed.rights import PART_OF

# What a program may say of an object. The rest is the API server's to fill in, or makes objects come and go: owners and
# finalizers, generated names, ownership of fields (managedFields: rule FP016).
DECLARED: Final = ("name", "namespace", "labels", "annotations")
SERVERS: Final = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_, PART, LAYER = OBJECT_LABELS
LAYERS: Final = ("foundation", "collection", "backend", "access", "correlation", "regression", "cost")
# Rules of their own judge labels and annotations that these have beside the platform's own.
SAID: Final = (
    *("Namespace", "Service", "NetworkPolicy", "ServiceAccount", "Certificate"),
    *("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", *ROUTES),
)
SERVICE_LABELS: Final = ("flameplane.dev/service", "flameplane.dev/team")  # what they say: rule FP009
# Grafana's sidecar finds its files by them. They are on these ConfigMaps, which it is to read, and on no others.
CLAIM: Final = "PersistentVolumeClaim"
SIDECAR: Final = {"flameplane-datasources": "grafana_datasource", "flameplane-dashboards": "grafana_dashboard"}


def _identity(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if environment(manifests) is None:
        return
    for manifest in manifests:
        if _is_ours(manifest):
            yield from _metadata(manifest)
            yield from _labels(manifest, at(manifest, "metadata", "labels") or {})
            if manifest.get("kind") in WORKLOADS:
                yield from _pods(manifest)


def _is_ours(manifest: Manifest) -> bool:
    kind = str(manifest.get("kind"))
    if kind in CLOUD_KINDS or ":" in kind or kind not in KINDS:
        return False
    if at(manifest, "metadata", "namespace"):
        return namespace(manifest) in NAMESPACES
    return name(manifest) in NAMESPACES or (kind != "Namespace" and name(manifest).startswith("flameplane-"))


def _metadata(manifest: Manifest) -> Iterator[Violation]:
    kind, metadata = manifest.get("kind"), manifest.get("metadata") or {}
    for field in (f for f in metadata if f not in (*DECLARED, *SERVERS) and metadata[f] is not None):
        yield breaks(manifest, f"sets metadata.{field}; valid: {', '.join(DECLARED)}")
    if kind in SAID:
        return
    if kind == "ConfigMap":
        for key in (k for k in metadata.get("labels") or {} if k not in (*OBJECT_LABELS, *SERVICE_LABELS)):
            if key != SIDECAR.get(name(manifest)):
                yield breaks(manifest, f"has the label {key}, by which a controller may read it")
    if kind not in WORKLOADS:  # of which rule FP003 says it
        waits = (WAIT_ANNOTATION,) if kind == CLAIM else ()  # for its first pod, which may be an open image's
        for key in (k for k in metadata.get("annotations") or {} if k not in waits):
            yield breaks(manifest, f"has the annotation {key}, by which a controller may change what it does")
    if kind == "ConfigMap" and manifest.get("immutable"):
        yield breaks(manifest, "is immutable: what is declared next could not be applied")


def _labels(manifest: Manifest, labels: Mapping[str, Any], of: str = "") -> Iterator[Violation]:
    """Whose it is, and of which layer: alerts, dashboards and people find objects by that."""
    for key, valid in ((PART, (PART_OF[1],)), (LAYER, LAYERS)):
        if (found := labels.get(key)) not in (None, *valid):
            yield breaks(manifest, f"has {of}the label {key} {found}; valid: {', '.join(valid)}")


def _pods(manifest: Manifest) -> Iterator[Violation]:
    metadata = at(template(manifest), "metadata") or {}
    yield from _labels(manifest, metadata.get("labels") or {}, "pods with ")
    for key, value in (metadata.get("annotations") or {}).items():
        valid = POD_ANNOTATION_VALUES.get(key)
        if valid is not None and not valid.fits(value):
            yield breaks(manifest, f"has pods with the annotation {key}: {value}; valid: {valid}")
    for claim in items(at(manifest, "spec", "volumeClaimTemplates")):
        yield from _labels(manifest, at(claim, "metadata", "labels") or {}, f"a claim {name(claim)} with ")


RULES: Final = (
    Rule(
        id="FP058",
        name="own-identity",
        why="Controllers act on labels and annotations, owners and finalizers decide when an object goes, and people "
        "find it by what it says it belongs to.",
        remediation="Make metadata with `Component.metadata` of components/base.py: name, namespace, the platform's "
        "labels, and no annotation that nobody reviewed.",
        kinds=(*KINDS, SETTINGS),
        check=_identity,
        scope="stack",
    ),
)
