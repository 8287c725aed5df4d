"""Which files make up services/, and which lie there without having a meaning."""

from dataclasses import dataclass, field
from pathlib import Path

from flameplane.catalog.report import Report
from flameplane.findings import Location

ORGANISATION, TEAM, SERVICE = "_org.yaml", "_team.yaml", "service.yaml"
_LAYOUT = "services/_org.yaml, services/<team>/_team.yaml or services/<team>/<service>/service.yaml"
_IGNORED = (".md", ".txt")  # notes for people


@dataclass
class Files:
    """The files by what they are; teams by folder, services by (team folder, service folder)."""

    organisation: Path | None = None
    teams: dict[str, Path] = field(default_factory=dict)
    services: dict[tuple[str, str], Path] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)  # what findings call a file


def collect(root: Path, folder: Path, report: Report) -> Files:
    """Everything below ``folder``, sorted; what has no meaning there is a finding, never ignored in silence."""
    files = Files()
    for path in sorted(p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts):
            continue
        files.names[path] = name = relative(path, root)
        if path.is_symlink() or not path.is_file():
            message = "this is no ordinary file; links would let a declaration change without a change here"
            report.add("040", message, Location(name, 1, 1), fix="Replace it by a file.")
            continue
        match parts:
            case ("_org.yaml",):
                files.organisation = path
            case (team, "_team.yaml"):
                files.teams[team] = path
            case (team, service, "service.yaml"):
                files.services[team, service] = path
            case _ if path.suffix not in _IGNORED:
                _stray(parts, name, report)
    return files


def relative(path: Path, root: Path) -> str:
    """The path as findings show it: below the project root relative to it, else absolute."""
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return name.encode("utf-8", "backslashreplace").decode()  # file names need not be UTF-8


def _stray(parts: tuple[str, ...], name: str, report: Report) -> None:
    last = parts[-1].lower()
    stem, _, suffix = last.rpartition(".")
    fix = ""
    if suffix in ("yaml", "yml"):
        meant = {"service": SERVICE, "_team": TEAM, "team": TEAM, "_org": ORGANISATION, "org": ORGANISATION}.get(stem)
        depth = {SERVICE: 3, TEAM: 2, ORGANISATION: 1}.get(meant or "", 0)
        if meant and depth == len(parts):
            fix = f"Rename it to {meant}."
        elif meant:
            fix = f"Move it to {next(p for p in _LAYOUT.replace(' or ', ', ').split(', ') if p.endswith(meant))}."
    report.add("040", f"this file has no meaning here; read are {_LAYOUT}", Location(name, 1, 1), fix=fix)
