"""Which files make up services/, and which lie there without having a meaning."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flameplane.catalog.report import Report
from flameplane.findings import Location

ORGANISATION, TEAM, SERVICE = "_org.yaml", "_team.yaml", "service.yaml"
_LAYOUT = "services/_org.yaml, services/<team>/_team.yaml or services/<team>/<service>/service.yaml"
_IGNORED = (".md", ".txt")  # notes for people
_NO_FILE = "this is no ordinary file; links would let a declaration change without a change here"


@dataclass
class Files:
    """The files by what they are; teams by folder, services by (team folder, service folder).

    ``told`` are the files and folders, as parts below services/, that have a finding already.
    """

    organisation: Path | None = None
    teams: dict[str, Path] = field(default_factory=dict)
    services: dict[tuple[str, str], Path] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)  # what findings call a file
    told: set[tuple[str, ...]] = field(default_factory=set)


def collect(root: Path, folder: Path, report: Report) -> Files:
    """Everything below ``folder``, sorted; what has no meaning there is a finding, never ignored in silence."""
    files, folders = Files(), set[tuple[str, ...]]()
    for path in _everything(folder, folder, root, files, report):
        parts = path.relative_to(folder).parts
        files.names[path] = name = relative(path, root)
        if path.is_dir() and not path.is_symlink() and path.name not in (ORGANISATION, TEAM, SERVICE):
            folders.add(parts)
            continue
        if path.is_symlink() or not path.is_file():
            report.add("040", _NO_FILE, Location(name, 1, 1), fix="Replace it by a file.")
            files.told.add(parts)
            continue
        match parts:
            case ("_org.yaml",):
                files.organisation = path
            case (team, "_team.yaml"):
                files.teams[team] = path
            case (team, service, "service.yaml"):
                files.services[team, service] = path
            case _ if path.suffix not in _IGNORED:
                files.told |= {parts, (*parts[:-1], _stray(parts, name, folder, report))}
    _without_declaration(folders, files, relative(folder, root), report)
    return files


def relative(path: Path, root: Path) -> str:
    """The path as findings show it: below the project root relative to it, else absolute."""
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return name.encode("utf-8", "backslashreplace").decode()  # file names need not be UTF-8


def readable(folder: Path) -> bool:
    """Whether the folder can be listed and entered; pathlib's own functions differ in what they raise if not."""
    return os.access(folder, os.R_OK | os.X_OK)


def ordinary_folder(folder: Path, name: str, report: Report) -> bool:
    """Whether the folder can be listed and entered and is no link; otherwise it is reported."""
    if folder.is_symlink():
        message = "this folder is a link, which would let declarations change without a change here"
        report.add("040", message, Location(name, 1, 1), fix="Replace it by a folder.")
        return False
    if not readable(folder):
        message = f"the folder {name} cannot be read: what it declares would be missing"
        report.add("001", message, Location(name, 1, 1), fix="Give yourself the right to read and enter the folder.")
        return False
    return True


def _everything(base: Path, folder: Path, root: Path, files: Files, report: Report) -> Iterator[Path]:
    """Files and folders below ``folder`` but hidden ones; a folder that cannot be read is told and not entered."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        entered = path.is_dir() and not path.is_symlink() and path.name not in (ORGANISATION, TEAM, SERVICE)
        if entered and not ordinary_folder(path, relative(path, root), report):
            files.told.add(path.relative_to(base).parts)
            continue
        yield path
        if entered:
            yield from _everything(base, path, root, files, report)


def _without_declaration(folders: set[tuple[str, ...]], files: Files, here: str, report: Report) -> None:
    """Folders of teams and services that declare nothing: their file has another name, or was forgotten."""
    for parts in sorted(folders):
        below = [told for told in files.told if told[: len(parts)] == parts]
        match parts:
            case (team,):
                holds, wanted = team in files.teams or any(key[0] == team for key in files.services), TEAM
                holds = holds or any(len(other) == 2 and other[0] == team for other in folders)  # told there
            case (team, service):
                holds, wanted = (team, service) in files.services, SERVICE
            case _:
                continue
        if not holds and not below:
            name = f"{here}/{'/'.join(parts)}".encode("utf-8", "backslashreplace").decode()
            report.add("053", f"the folder {name} has no {wanted}", Location(name, 1, 1), fix=f"Add {name}/{wanted}")


def _stray(parts: tuple[str, ...], name: str, folder: Path, report: Report) -> str:
    """Report a file without a meaning; the name that it should have, if that is what is wrong."""
    last = parts[-1].lower()
    stem, _, suffix = last.rpartition(".")
    fix = renamed = ""
    if suffix in ("yaml", "yml"):
        meant = {"service": SERVICE, "_team": TEAM, "team": TEAM, "_org": ORGANISATION, "org": ORGANISATION}.get(stem)
        depth = {SERVICE: 3, TEAM: 2, ORGANISATION: 1}.get(meant or "", 0)
        if meant and depth == len(parts):
            fix, renamed = f"Rename it to {meant}.", meant
        elif meant == ORGANISATION and (folder / ORGANISATION).exists():
            fix = f"Delete it: services/{ORGANISATION} exists already."
        elif meant:
            fix = f"Move it to {next(p for p in _LAYOUT.replace(' or ', ', ').split(', ') if p.endswith(meant))}."
    report.add("040", f"this file has no meaning here; read are {_LAYOUT}", Location(name, 1, 1), fix=fix)
    return renamed
