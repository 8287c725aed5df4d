"""What is declared for Pyroscope, and how it compares with the configuration that a server says it runs with."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@contextmanager
def project_with_pyroscope(root: Path) -> Iterator[Path]:
    """The project as whoever has a Pyroscope sets it: environment local runs it in place of devstore."""
    with tempfile.TemporaryDirectory(prefix="flameplane-") as name:
        folder = Path(name)
        for part in root.iterdir():
            if part.name not in {"stacks", ".git", ".venv"}:
                (folder / part.name).symlink_to(part)
        shutil.copytree(root / "stacks", folder / "stacks")
        settings = folder / "stacks/Pulumi.local.yaml"
        text = settings.read_text()
        assert text.count("architecture: devstore") == 1
        settings.write_text(text.replace("architecture: devstore", "architecture: process"))
        yield folder


def seconds(duration: str) -> float:
    """30d, 720h and 1d12h as seconds."""
    total, number = 0.0, ""
    for character in str(duration):
        if character.isdigit() or character == ".":
            number += character
        else:
            total, number = total + float(number) * UNITS[character], ""
    return total


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, document


def same(declared: Any, runs: Any) -> bool:
    if isinstance(declared, str) and isinstance(runs, str) and declared != runs:
        try:
            return seconds(declared) == seconds(runs)
        except (KeyError, ValueError):
            return False
    if isinstance(declared, list) and isinstance(runs, str):  # lists that flags take with commas are shown so
        return ",".join(map(str, declared)) == runs
    if isinstance(declared, list) and isinstance(runs, list) and len(declared) == len(runs):
        return not any(differences(ours, theirs) for ours, theirs in zip(declared, runs, strict=True))
    return bool(declared == runs)


def differences(declared: Any, runs: Any, ours: tuple[tuple[str, ...], ...] = ()) -> list[str]:
    """Every declared value that the server does not run with; ``ours`` are paths that the test gave it by flags."""
    found = []
    for path, value in leaves(declared):
        if any(path[: len(skip)] == skip for skip in ours):
            continue
        at = runs
        for key in path:
            at = at.get(key, "absent") if isinstance(at, dict) else "absent"
        if not same(value, at):
            found.append(f"{'.'.join(path)}: declared {value!r}, runs with {at!r}")
    return found
