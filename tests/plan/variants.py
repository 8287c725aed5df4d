"""Variants of the project that tests of components record: other services or images; and what differs between two."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from flameplane.plan import manifest, record

Objects = dict[str, dict[str, Any]]  # "Kind namespace/name" -> manifest
LINKED = ("components", "flameplane", "schemas", "stacks", "Pulumi.yaml")


WITH_PYROSCOPE = ("local", "architecture: devstore", "architecture: process")  # for `Project.set`


class Project:
    """A copy of the project whose services/ may be edited. With ``locked``, every image has a (made-up) digest."""

    def __init__(self, root: Path, folder: Path, locked: bool) -> None:
        self.folder = folder
        for part in LINKED:
            (folder / part).symlink_to(root / part)
        shutil.copy(root / "__main__.py", folder)
        shutil.copytree(root / "services", folder / "services")
        lock = json.loads((root / "images.lock").read_text())
        if locked:
            for name, image in lock["images"].items():
                image["digest"] = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        (folder / "images.lock").write_text(json.dumps(lock))

    def service(self, team: str, name: str) -> Path:
        """The file of a service."""
        return self.folder / "services" / team / name / "service.yaml"

    def set(self, stack: str, old: str, new: str) -> "Project":
        """Change the text of a settings file; `self`."""
        folder = self.folder / "stacks"
        if folder.is_symlink():
            original = folder.resolve()
            folder.unlink()
            shutil.copytree(original, folder)
        file = folder / f"Pulumi.{stack}.yaml"
        text = file.read_text()
        assert text.count(old) == 1, old
        file.write_text(text.replace(old, new))
        return self

    def edit(self, file: Path, change: Callable[[Any], None]) -> None:
        """Change a YAML file in place."""
        document = yaml.safe_load(file.read_text())
        change(document)
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    def add(self, team: str, name: str, language: Mapping[str, Any], types: list[str]) -> None:
        """Declare one more service."""
        file = self.service(team, name)
        file.parent.mkdir()
        spec = {
            "language": dict(language),
            "workload": {"namespace": team, "selector": {"app.kubernetes.io/name": name}},
            "profiling": {"types": types},
        }
        repository = f"https://git.example.com/acme/{name}"
        metadata = {"name": name, "team": team, "repository": repository}
        document = {"apiVersion": "flameplane.dev/v1", "kind": "Service", "metadata": metadata, "spec": spec}
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    def objects(self, stack: str = "prod") -> Objects:
        """What the program declares."""
        return named([m for r in record(self.folder, stack).resources if (m := manifest(r))])


def named(manifests: list[dict[str, Any]]) -> Objects:
    """Manifests by what they are called; a name that occurs twice is an error."""
    found: Objects = {}
    for item in manifests:
        metadata = item["metadata"]
        key = f"{item['kind']} {metadata['namespace'] + '/' if 'namespace' in metadata else ''}{metadata['name']}"
        assert key not in found, key
        found[key] = item
    return found


def touched(before: Objects, after: Objects) -> set[str]:
    """Objects that an apply would create, change or delete."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
