"""Manifests as files: one object each, in ``<namespace or _cluster>/<kind>-<name>.yaml``.

A list of what we wrote lies in the folder, and only what is on it is ever replaced or removed. Files are staged first
and then moved into place one by one, those alone that changed: no file is ever half-written, and a run that is cut off
is completed by the next, because the list names old and new files while it is under way.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from flameplane.findings import Finding
from flameplane.plan.manifests import manifest, title, unresolved
from flameplane.plan.places import python_line
from flameplane.plan.recording import Recording

LIST: Final = ".flameplane-render"  # names the files we wrote, one per line
_STAGE: Final = ".flameplane-render.new"
_CLUSTER: Final = "_cluster"  # no namespace can be called so
_HEADER: Final = "# Written by `flameplane render`: change the declarations, not this file.\n"
_LISTED: Final = re.compile(r"[a-z0-9_][a-z0-9._-]*/[a-z0-9_][a-z0-9._-]*\.yaml")
_REASONS: Final = {
    "unknown": ("PLN001", "only the cloud knows this value", "Give it a value that is known before apply."),
    "secret": (
        "PLN002",
        "the value is secret and would lie in a file",
        "Name a Kubernetes Secret instead of holding the value.",
    ),
}


class UnknownValues(Exception):
    """Objects that cannot be written down truthfully. ``findings``: one per path, with the Python call behind it."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(f.message for f in findings))
        self.findings = findings


class NotOurs(Exception):
    """The output folder holds something that we did not write."""


def render(recording: Recording, out: Path, root: Path | None = None) -> list[Path]:
    """Write the manifests of ``recording`` below ``out``; the paths of all of them, sorted.

    Raises ``UnknownValues`` or ``NotOurs`` before anything is written. ``root`` makes findings point at Python lines.
    """
    files = contents(recording, root)
    earlier = _earlier(out, files)
    stage = out / _STAGE
    shutil.rmtree(stage, ignore_errors=True)  # of a run that was cut off
    try:
        for name, text in files.items():
            _write(stage / name, text)
        _write(out / LIST, _lines(earlier | files.keys()))
        for name, text in files.items():
            if not _same(out / name, text):
                (out / name).parent.mkdir(exist_ok=True)
                (stage / name).replace(out / name)
        for name in earlier - files.keys():
            (out / name).unlink(missing_ok=True)
        for folder in {(out / name).parent for name in earlier - files.keys()}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        _write(out / LIST, _lines(files))
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return [out / name for name in sorted(files)]


def contents(recording: Recording, root: Path | None = None) -> dict[str, str]:
    """Text by file name, without writing anything. Raises ``UnknownValues``."""
    findings: list[Finding] = []
    files: dict[str, str] = {}
    for resource in recording.resources:
        if (obj := manifest(resource)) is None:
            continue
        where = python_line(resource, root) if root else None
        for path, reason in unresolved(obj):
            id_, why, fix = _REASONS[reason]
            findings.append(Finding(id_, "error", f"{title(obj)}: {path}: {why}", where, fix=fix, subject=resource.urn))
        name = file_name(obj)
        if name in files:
            text = f"{title(obj)}: another object has the same file name, {name}"
            findings.append(
                Finding("PLN003", "error", text, where, fix="Give one of the two another name.", subject=resource.urn)
            )
        files[name] = _HEADER + to_yaml(obj) if not findings else ""
    if findings:
        raise UnknownValues(findings)
    return files


def file_name(obj: Mapping[str, Any]) -> str:
    """Where an object lies, in lower case. The colons of RBAC names become ``__``: not every file system has colons."""
    metadata = obj.get("metadata") or {}
    parts = (str(metadata.get("namespace") or _CLUSTER), f"{obj['kind']}-{metadata.get('name', '')}")
    folder, name = (re.sub(r"[^a-z0-9._-]", "__", part.lower()) for part in parts)
    return f"{folder}/{name}.yaml"


def to_yaml(obj: Mapping[str, Any]) -> str:
    """YAML that every reader reads alike: text is quoted unless it can be nothing else, lines stand as a block."""
    return yaml.dump(dict(obj), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**20)


class _Dumper(yaml.SafeDumper):
    """Never an anchor or an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = not _PLAIN.fullmatch(text) or text.lower() in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else '"' if quoted else "")


_Dumper.add_representer(str, _text)


def _earlier(out: Path, files: Iterable[str]) -> set[str]:
    """What we wrote there before. Anything else in the folder is left alone, or refused where it is in the way."""
    if not out.exists():
        return set()
    if not out.is_dir():
        raise NotOurs(f"{out} is a file; name a folder")
    listed = out / LIST
    if not listed.is_file():
        if any(out.iterdir()):
            raise NotOurs(
                f"{out} is not empty and was not written by render; name a new folder, or empty this one yourself"
            )
        return set()
    earlier = set(listed.read_text(encoding="utf-8").split())
    if strange := sorted(name for name in earlier if not _LISTED.fullmatch(name)):
        raise NotOurs(
            f"{listed} names {strange[0]!r}, which render never writes; delete that line, or name a new folder"
        )
    for name in sorted(earlier | set(files)):
        if (out / name).parent.is_symlink():
            raise NotOurs(f"{(out / name).parent} is a link to elsewhere; remove it, or name a new folder")
    if foreign := sorted(name for name in set(files) - earlier if (out / name).exists()):
        raise NotOurs(f"{out / foreign[0]} was not written by render; move it away, or name a new folder")
    return earlier


def _same(path: Path, text: str) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == text.encode()


def _lines(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in sorted(names))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
