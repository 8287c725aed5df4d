"""The ApplySets of the platform: which objects on the API server are its own.

kubectl (KEP-3659) records membership as a label on every object, and kinds and namespaces as annotations of a parent
object. Two things decide their shape here, both of kubectl 1.36:

- A parent of a built-in kind (Secret, ConfigMap) needs `--namespace`, which then refuses objects of any other; so the
  parents are cluster-scoped custom resources.
- To prune, kubectl lists every kind in every namespace of the set, five requests a second: 18 seconds for one set of 80
  objects in 9 namespaces. So there is one set per namespace and one for what has none, and a set is only applied when
  something in it differs.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping

from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.objects import Key, key, rank

GROUP, KIND, TYPE = "flameplane.dev", "ApplySet", "applysets.flameplane.dev"
CLUSTER_SET = "cluster"
MEMBER_LABEL = "applyset.kubernetes.io/part-of"
KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
# Groups whose kinds every API server has; those of any other may be removed with their CRD at any time.
BUILT_IN = (
    "",
    "apps",
    "batch",
    "policy",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "admissionregistration.k8s.io",
)

CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": TYPE,
        "labels": {"app.kubernetes.io/part-of": "flameplane", "applyset.kubernetes.io/is-parent-type": "true"},
    },
    "spec": {
        "group": GROUP,
        "scope": "Cluster",
        "names": {"kind": KIND, "plural": TYPE.partition(".")[0], "singular": KIND.lower()},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def set_of(item: Key) -> str:
    """Name of the set that an object belongs to."""
    return f"namespace-{item.namespace}" if item.namespace else CLUSTER_SET


def identity(name: str) -> str:
    """Value of the member label: as the specification has it, from the parent's name, namespace, kind and group."""
    digest = hashlib.sha256(f"{name}..{KIND}.{GROUP}".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def parents(kubectl: Kubectl) -> dict[str, Object]:
    """The parent objects by name; none when the platform was never applied this way."""
    if not kubectl.get("customresourcedefinitions", TYPE, doing="look for the ApplySets"):
        return {}
    return {item["metadata"]["name"]: item for item in kubectl.get(TYPE, doing="look for the ApplySets")}


def cover(kubectl: Kubectl, current: Mapping[str, Object], keys: Collection[Key]) -> None:
    """Make the parents list the kinds and namespaces of `keys` beside their own, so that no member is ever forgotten.

    kubectl does the same before it applies; this comes earlier, because namespaces go first. It narrows them again.
    What it cannot do is start from a kind that the API server no longer has, so those are left out here.
    """
    wanted = []
    gone = _gone(kubectl, _kinds(current))
    for name in sorted({set_of(k) for k in keys}):
        mine = [k for k in keys if set_of(k) == name]
        annotations = current[name]["metadata"]["annotations"] if name in current else {}
        kinds = (_listed(annotations, KINDS) - gone) | {f"{k.kind}.{k.group}".rstrip(".") for k in mine}
        namespaces = _listed(annotations, NAMESPACES) | {k.namespace for k in mine if k.namespace}
        if name not in current or kinds != _listed(annotations, KINDS):
            wanted.append(_parent(name, kinds, namespaces))
    if not wanted:
        return
    if not current:
        doing = "create the ApplySet type"
        kubectl.run("apply", "--server-side", "--field-manager=flameplane", objects=[CRD], doing=doing)
        kubectl.run("wait", "--for=condition=Established", "--timeout=60s", objects=[CRD], doing=doing)
    # The manager that kubectl itself uses for parents, so that the two do not fight over the annotations.
    manager = "--field-manager=kubectl-applyset"
    kubectl.run("apply", "--server-side", "--force-conflicts", manager, objects=wanted, doing="write the ApplySets")


def _parent(name: str, kinds: set[str], namespaces: set[str]) -> Object:
    annotations = {
        "applyset.kubernetes.io/tooling": "kubectl/v1.27.0",  # who manages it; kubectl writes its own version
        KINDS: ",".join(sorted(kinds)),
        NAMESPACES: ",".join(sorted(namespaces)),
    }
    labels = {"applyset.kubernetes.io/id": identity(name)}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": f"{GROUP}/v1", "kind": KIND, "metadata": metadata}


def members(kubectl: Kubectl, current: Mapping[str, Object]) -> dict[Key, Object]:
    """Every object of the platform on the API server, in the order of `rank`."""
    kinds = _kinds(current)
    kinds -= _gone(kubectl, kinds)
    if not kinds:
        return {}
    types = ",".join(sorted(kind.lower() for kind in kinds))
    selector = f"--selector={MEMBER_LABEL} in ({','.join(identity(name) for name in current)})"
    found = kubectl.get(types, "--all-namespaces", selector, doing="list the objects of the platform")
    return {key(item): item for item in sorted(found, key=lambda item: rank(key(item)))}


def labelled(item: Object) -> Object:
    """The object with the member label, for calls in which kubectl does not add it itself."""
    metadata = item["metadata"]
    labels = {**(metadata.get("labels") or {}), MEMBER_LABEL: identity(set_of(key(item)))}
    return {**item, "metadata": {**metadata, "labels": labels}}


def _kinds(current: Mapping[str, Object]) -> set[str]:
    """Kinds of all members, as the parents list them: Kind.group."""
    return {kind for parent in current.values() for kind in _listed(parent["metadata"]["annotations"], KINDS)}


def _gone(kubectl: Kubectl, kinds: Collection[str]) -> set[str]:
    """Those of `kinds` that the API server does not have: its CRD was removed, and every object of it went along.

    Where it cannot tell all its kinds (an aggregated API that does not answer), none counts as gone.
    """
    asked = {kind for kind in kinds if kind.partition(".")[2] not in BUILT_IN}
    if not asked:
        return set()
    result = kubectl.call("api-resources", "--no-headers")
    if not result.ok:
        return set()
    rows = [line.split()[-3:] for line in result.out.splitlines() if line.strip()]  # API version, namespaced, kind
    return asked - {f"{kind}.{version.rpartition('/')[0]}".rstrip(".") for version, _, kind in rows}


def _listed(annotations: Mapping[str, str], name: str) -> set[str]:
    return {part for part in annotations.get(name, "").split(",") if part}
