"""Files that judge or steer a change, and are changed by it: rules, reviewed tables, the workflow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Folder or file, and what it decides. Waivers, grants and stacks are told entry by entry.
_DECIDE: Final = {
    "policies": "the rules that judge this change",
    "schemas": "what is allowed in declared files",
    ".github": "what runs on a pull request, with which rights",
    "CODEOWNERS": "who is asked for a review",
}
_ELSEWHERE: Final = ("policies/waivers.yaml",)
_SUFFIXES: Final = (".py", ".yaml", ".yml", ".json", "")
_NAMED: Final = 3  # files that a line names


def judges_changed(before: Path, after: Path) -> Iterator[str]:
    """One line per folder in which files differ between two project folders; without it nothing judges at all."""
    for name, decides in _DECIDE.items():
        if not (after / name).exists():
            continue
        old, new = _files(before, name), _files(after, name)
        changed = sorted(f for f in old.keys() | new.keys() if old.get(f) != new.get(f))
        if changed:
            more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
            yield f"{', '.join(changed[:_NAMED])}{more}: {decides}"


def _files(root: Path, name: str) -> dict[str, bytes]:
    """Contents by path from the root; links and what Python leaves behind are none of them."""
    top = root / name
    paths = [top] if top.is_file() else sorted(top.rglob("*")) if top.is_dir() else []
    found = {}
    for path in paths:
        inside = path.relative_to(root)
        if path.suffix not in _SUFFIXES or "__pycache__" in inside.parts or inside.as_posix() in _ELSEWHERE:
            continue
        if path.is_file() and not path.is_symlink():
            try:
                found[inside.as_posix()] = path.read_bytes()
            except OSError:
                continue
    return found
