"""Every text of an object in which a mode, a flag or a destination can be chosen, for rules that search them all."""

from collections.abc import Iterator
from typing import Final

from policies.objects import WORKLOADS, at, containers, items, texts
from policies.rule import Manifest

POLICIES: Final = ("MutatingAdmissionPolicy",)


def worded(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every text in which a mode can be chosen, with where it stands; the environment as NAME=value."""
    if manifest.get("kind") in WORKLOADS:
        for container in containers(manifest):
            arguments = [*texts(container.body.get("command")), *texts(container.body.get("args"))]
            yield f"container {container.name}", " ".join(arguments)
            for variable in items(container.body.get("env")):
                yield f"container {container.name}", f"{variable.get('name')}={variable.get('value') or ''}"
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                yield f"container {container.name}", str(at(container.body, probe, "httpGet", "path") or "")
        annotations = at(manifest, "metadata", "annotations") or {}
        yield "annotations", "\n".join(f"{key}={value}" for key, value in annotations.items())
    elif manifest.get("kind") == "ConfigMap":
        for field in ("data", "binaryData"):
            yield from ((key, f"{key}={value}") for key, value in (manifest.get(field) or {}).items())
    else:
        for entry in (*items(at(manifest, "spec", "mutations")), *items(at(manifest, "spec", "variables"))):
            for form in (entry, entry.get("applyConfiguration") or {}, entry.get("jsonPatch") or {}):
                yield "an expression", str(form.get("expression") or "")
