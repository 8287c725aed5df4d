"""Reading Kubernetes manifests: what several rules need to find in them."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import yaml

from policies.rule import Manifest, Unreadable, Violation
from schemas.allowed import AGENT_NAMESPACE

# Every kind that makes pods, with the path to its pod template.
POD_PATHS: Final = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
WORKLOADS: Final = tuple(POD_PATHS)


class Container(NamedTuple):
    """A container, where it stands, and the pod around it."""

    group: str  # containers | initContainers
    body: Mapping[str, Any]
    pod: Mapping[str, Any]
    manifest: Manifest

    @property
    def name(self) -> str:
        """Name of the container."""
        return str(self.body.get("name", "?"))

    @property
    def security(self) -> Mapping[str, Any]:
        """Its own securityContext."""
        return self.body.get("securityContext") or {}

    def effective(self, field: str) -> Any:
        """A securityContext field as the kubelet sees it: the container's, else the pod's."""
        own = self.security.get(field)
        return own if own is not None else (self.pod.get("securityContext") or {}).get(field)

    def breaks(self, how: str) -> Violation:
        """A violation whose message starts with this container."""
        return Violation(f"container {self.name} of {label(self.manifest)} {how}", self.manifest)


def at(manifest: Any, *path: str) -> Any:
    """The value at a path of keys, None where the path ends early."""
    for key in path:
        if not isinstance(manifest, Mapping):
            return None
        manifest = manifest.get(key)
    return manifest


def name(manifest: Manifest) -> str:
    """metadata.name."""
    return str(at(manifest, "metadata", "name") or "?")


def namespace(manifest: Manifest) -> str:
    """metadata.namespace, `default` as the API server would fill it in; for a Namespace its own name."""
    if manifest.get("kind") == "Namespace":
        return name(manifest)
    return str(at(manifest, "metadata", "namespace") or "default")


def label(manifest: Manifest) -> str:
    """How messages name an object."""
    where = at(manifest, "metadata", "namespace")
    return f"{manifest.get('kind')}/{name(manifest)}" + (f" in {where}" if where else "")


def breaks(manifest: Manifest, how: str, declared: str = "") -> Violation:
    """A violation whose message starts with this object."""
    return Violation(f"{label(manifest)} {how}", manifest, declared)


def template(manifest: Manifest) -> Manifest:
    """The pod template of a workload; the Pod itself for a Pod."""
    return at(manifest, *POD_PATHS[manifest["kind"]]) or {}


def pod(manifest: Manifest) -> Manifest:
    """The pod spec of a workload."""
    return template(manifest).get("spec") or {}


def containers(manifest: Manifest) -> Iterator[Container]:
    """Every container of a workload, init containers included. Ephemeral ones rule FP003 refuses as such."""
    spec = pod(manifest)
    for group in ("initContainers", "containers"):
        for body in spec.get(group) or ():
            yield Container(group, body, spec, manifest)


def is_agent(manifest: Manifest) -> bool:
    """Whether this is the node agent, the one workload that may hold more than nothing."""
    return manifest.get("kind") == "DaemonSet" and namespace(manifest) == AGENT_NAMESPACE


def texts(values: Any) -> list[str]:
    """A list of strings as a plain list; an absent list is empty."""
    return [str(v) for v in values or ()]


@lru_cache(maxsize=4096)
def parsed(text: str) -> Any:
    """A YAML text of a ConfigMap. Several rules read the same ones, so each is parsed once."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe loaders


def documents(config_map: Manifest) -> dict[str, Any]:
    """The parsed values of a ConfigMap by key; raises `Unreadable`."""
    found: dict[str, Any] = {}
    for key, text in (config_map.get("data") or {}).items():
        try:
            found[key] = parsed(text) if isinstance(text, str) else None
        except yaml.YAMLError as error:
            if key.endswith((".yaml", ".yml", ".json")):
                mark = getattr(error, "problem_mark", None)
                where = f"{key}, line {mark.line + 1}" if mark else key
                raise Unreadable(f"{where}: {getattr(error, 'problem', None) or 'no YAML'}") from error
    return {key: value for key, value in found.items() if value is not None}


def items(value: Any) -> Sequence[Any]:
    """A list, empty when absent."""
    return value or ()


def whole(value: Any) -> Any:
    """A number as people write it: all numbers arrive as doubles over Pulumi's wire."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def address_range(text: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """A range of addresses; None where the text is none, which rule FP032 says."""
    try:
        return ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return None


def plain(value: Any) -> Any:
    """A value as plain maps, lists and numbers, which compare and read well whatever it came through."""
    if isinstance(value, Mapping):
        return {str(key): plain(below) for key, below in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(below) for below in value]
    return whole(value)
