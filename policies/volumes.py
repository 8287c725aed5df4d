"""The volumes of the platform's programs beside the table of those that were reviewed (schemas/reviewed/volumes.py)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policies.objects import at, breaks, items, pod
from policies.rule import Manifest, Violation
from schemas.reviewed.network import JOBS
from schemas.reviewed.volumes import CATALOG, EMPTY, Volumes

# Of each source: the field that names what it is of. Other fields than these and `items` are not in the table.
NAMED: Final = {
    "configMap": "name",
    "secret": "secretName",
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
}
HARMLESS: Final = ("defaultMode", "items", "sizeLimit", "type")


def unlike(manifest: Manifest, program: str, expected: Volumes) -> Iterator[Violation]:
    """Volumes that a program has and nobody reviewed, others than were reviewed, and those that it lacks."""
    found = {str(v.get("name")): text(v) for v in items(pod(manifest).get("volumes"))}
    for called, what in found.items():
        catalog = program in JOBS and called.startswith(CATALOG) and what == f"configMap {called}"
        scratch = what == EMPTY and called not in expected  # gives nothing; where it is mounted, others judge
        if not catalog and not scratch and expected.get(called) != what:
            wanted = expected.get(called, "no volume of that name")
            yield breaks(manifest, f"has the volume {called} with {what}; reviewed is {wanted}")
    for called in sorted(expected.keys() - found.keys()):
        yield breaks(manifest, f"lacks the volume {called} with {expected[called]}")


def text(volume: Mapping[str, Any]) -> str:
    """What is in a volume, in words."""
    if volume.get("projected") is not None:
        return ", ".join(_source(source) for source in items(at(volume, "projected", "sources")))
    return _source({key: value for key, value in volume.items() if key != "name"})


def _source(source: Mapping[str, Any]) -> str:
    found = []
    for kind, body in source.items():
        if kind == "serviceAccountToken":
            found.append(f"token for {at(body, 'audience') or 'the API server'}")
            continue
        named = NAMED.get(kind, "")
        of = (str(at(item, "key") or at(item, "fieldRef", "fieldPath")) for item in items(at(body, "items")))
        secret = kind == "secret" and at(body, named) is None  # in a projected volume it is called otherwise
        parts = [kind, str(at(body, "name" if secret else named) or "") if named else ""]
        keys = ", ".join(sorted(of))
        more = sorted(key for key in body or {} if key not in (*HARMLESS, named or "items") and body[key] is not None)
        found.append(" ".join(p for p in (*parts, f"[{keys}]" if keys else "", *(f"+{key}" for key in more)) if p))
    return " and ".join(found) or "nothing"
