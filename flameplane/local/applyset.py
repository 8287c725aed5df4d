"""The ApplySet of the platform: which objects on the API server are its own.

kubectl (KEP-3659) records membership as a label on every object and the kinds and namespaces as annotations of a parent
object. A parent that spans namespaces must itself be cluster-scoped: kubectl takes Secrets and ConfigMaps only together
with `--namespace`, which then refuses objects of any other namespace. So the parent is a custom resource of ours.
"""

import base64
import hashlib
from collections.abc import Collection

from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.objects import Key, key, rank

GROUP, KIND, NAME = "flameplane.dev", "ApplySet", "flameplane"
PARENT = f"applysets.{GROUP}/{NAME}"  # as `kubectl apply --applyset` takes it
MEMBER_LABEL = "applyset.kubernetes.io/part-of"
KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
# As the specification has it: applyset-<base64url(sha256(name.namespace.kind.group))>-v1
_HASH = hashlib.sha256(f"{NAME}..{KIND}.{GROUP}".encode()).digest()
ID = f"applyset-{base64.urlsafe_b64encode(_HASH).decode().rstrip('=')}-v1"

CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": f"applysets.{GROUP}",
        "labels": {"app.kubernetes.io/part-of": "flameplane", "applyset.kubernetes.io/is-parent-type": "true"},
    },
    "spec": {
        "group": GROUP,
        "scope": "Cluster",
        "names": {"kind": KIND, "plural": "applysets", "singular": "applyset"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def parent(kubectl: Kubectl) -> Object | None:
    """The parent object, if the platform was ever applied this way."""
    if not kubectl.get("customresourcedefinitions", CRD["metadata"]["name"], doing="look for the ApplySet"):
        return None
    found = kubectl.get(PARENT.split("/", maxsplit=1)[0], NAME, doing="look for the ApplySet")
    return found[0] if found else None


def cover(kubectl: Kubectl, current: Object | None, keys: Collection[Key]) -> None:
    """Make the parent list the kinds and namespaces of `keys` beside its own, so that no member is ever forgotten.

    kubectl does the same before it applies; this comes earlier, because some objects go first. It narrows them again.
    """
    annotations = current["metadata"]["annotations"] if current else {}
    kinds, namespaces = _listed(annotations, KINDS), _listed(annotations, NAMESPACES)
    new_kinds = kinds | {f"{k.kind}.{k.group}".rstrip(".") for k in keys}
    new_namespaces = namespaces | {k.namespace for k in keys if k.namespace}
    if current and (new_kinds, new_namespaces) == (kinds, namespaces):
        return
    if not current:
        kubectl.run(
            "apply", "--server-side", "--field-manager=flameplane", objects=[CRD], doing="create the ApplySet type"
        )
        kubectl.run(
            "wait", "--for=condition=Established", "--timeout=60s", objects=[CRD], doing="wait for the ApplySet type"
        )
    wanted = {
        "apiVersion": f"{GROUP}/v1",
        "kind": KIND,
        "metadata": {
            "name": NAME,
            "labels": {"applyset.kubernetes.io/id": ID},
            "annotations": {
                "applyset.kubernetes.io/tooling": "kubectl/v1.27.0",  # who manages it; kubectl writes its own version
                KINDS: ",".join(sorted(new_kinds)),
                NAMESPACES: ",".join(sorted(new_namespaces)),
            },
        },
    }
    # The manager that kubectl itself uses for the parent, so that the two do not fight over its annotations.
    manager = "--field-manager=kubectl-applyset"
    kubectl.run("apply", "--server-side", "--force-conflicts", manager, objects=[wanted], doing="write the ApplySet")


def members(kubectl: Kubectl, current: Object | None) -> dict[Key, Object]:
    """Every object of the platform on the API server, in the order of `rank`."""
    kinds = _listed(current["metadata"]["annotations"], KINDS) if current else set()
    if not kinds:
        return {}
    types = ",".join(sorted(kind.lower() for kind in kinds))
    selector = f"--selector={MEMBER_LABEL}={ID}"
    found = kubectl.get(types, "--all-namespaces", selector, doing="list the objects of the platform")
    return {key(item): item for item in sorted(found, key=lambda item: rank(key(item)))}


def labelled(item: Object) -> Object:
    """The object with the member label, for calls in which kubectl does not add it itself."""
    metadata = item["metadata"]
    return {**item, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), MEMBER_LABEL: ID}}}


def _listed(annotations: dict[str, str], name: str) -> set[str]:
    return {part for part in annotations.get(name, "").split(",") if part}
