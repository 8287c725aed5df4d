"""The volumes of the platform's programs beside the table of those that were reviewed (schemas/reviewed/volumes.py)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policies.backstop import Suspect
from policies.compare import put
from policies.objects import POD_PATHS, at, breaks, items, pod, whole
from policies.rule import Manifest
from schemas.reviewed.network import JOBS
from schemas.reviewed.volumes import CATALOG, EMPTY, Volumes

# Of each source: the field that names what it is of. Other fields than these and `items` are not in the table.
NAMED: Final = {
    "configMap": "name",
    "secret": "secretName",
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
}
SAID: Final = ("defaultMode", "items", "sizeLimit", "type")  # in words of their own
USUAL: Final = 0o644  # what the API server fills in as defaultMode


def unlike(manifest: Manifest, program: str, expected: Volumes) -> Iterator[Suspect]:
    """Volumes that a program has and nobody reviewed, others than were reviewed, and those that it lacks."""
    declared = list(items(pod(manifest).get("volumes")))
    found = {str(v.get("name")): text(v) for v in declared}
    for called, what in found.items():
        catalog = program in JOBS and called.startswith(CATALOG) and what == f"configMap {called}"
        scratch = what.startswith(EMPTY) and called not in expected  # gives nothing; where it is mounted, others judge
        if not catalog and not scratch and expected.get(called) != what:
            wanted = expected.get(called, "no volume of that name")
            left = [v for v in declared if str(v.get("name")) != called]
            mended = put(manifest, (*POD_PATHS[manifest["kind"]], "spec", "volumes"), left)
            how = f"has the volume {called} with {what}; reviewed is {wanted}"
            yield Suspect(breaks(manifest, how), manifest, mended)
    for called in sorted(expected.keys() - found.keys()):
        how = f"lacks the volume {called} with {expected[called]}"
        yield Suspect(breaks(manifest, how), manifest, manifest)


def text(volume: Mapping[str, Any]) -> str:
    """What is in a volume, in words."""
    if volume.get("projected") is not None:
        return ", ".join(_source(source) for source in items(at(volume, "projected", "sources")))
    return _source({key: value for key, value in volume.items() if key != "name"})


def _source(source: Mapping[str, Any]) -> str:
    found = []
    for kind, body in source.items():
        if kind == "serviceAccountToken":
            path = at(body, "path")
            found.append(f"token for {at(body, 'audience') or 'the API server'}" + _as("token", path))
            continue
        named = NAMED.get(kind, "")
        of = (_item(item) for item in items(at(body, "items")))
        secret = kind == "secret" and at(body, named) is None  # in a projected volume it is called otherwise
        parts = [kind, str(at(body, "name" if secret else named) or "") if named else ""]
        keys = ", ".join(sorted(of))
        fields = body if isinstance(body, Mapping) else {}
        more = sorted(key for key in fields if key not in (*SAID, named or "items") and body[key] is not None)
        found.append(
            " ".join(p for p in (*parts, f"[{keys}]" if keys else "", *_how(body), *(f"+{key}" for key in more)) if p)
        )
    return " and ".join(found) or "nothing"


def _item(item: Mapping[str, Any]) -> str:
    """One key or field, and the file that it becomes where that is called otherwise."""
    key = str(at(item, "key") or at(item, "fieldRef", "fieldPath"))
    mode = at(item, "mode")
    return key + _as(key.removeprefix("metadata."), at(item, "path")) + (f" mode {whole(mode):o}" if mode else "")


def _as(usual: str, path: Any) -> str:
    return "" if path == usual else f" as {path}"


def _how(body: Mapping[str, Any]) -> Iterator[str]:
    if (mode := whole(at(body, "defaultMode"))) not in (None, USUAL):
        yield f"mode {mode:o}"
    if size := at(body, "sizeLimit"):
        yield f"of {size}"
    if kind := at(body, "type"):
        yield f"({kind})"
