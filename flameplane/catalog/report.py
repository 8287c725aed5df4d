"""Collects findings of one kind of file, so that one mistake is told once."""

from typing import Any

from flameplane.catalog import shape
from flameplane.catalog.rules import RULES
from flameplane.catalog.tree import Path, show_path
from flameplane.findings import Finding, Location, Severity
from flameplane.tokens import masked


class Report:
    """Findings in the making. A place that could not be read is spoiled: what else is wrong there follows from that."""

    def __init__(self, kind: str, below: Path = ()) -> None:
        """``below`` leads to what is checked, where that is not the whole file: names in findings start at the file."""
        self.kind = kind
        self._below = below
        self._found: dict[Finding, None] = {}  # each once, in order
        self._spoiled: set[Location] = set()

    @property
    def findings(self) -> list[Finding]:
        """What has been found so far."""
        return list(self._found)

    def add(
        self,
        number: str,
        message: str,
        at: Location | None,
        *,
        valid: tuple[str, ...] = (),
        fix: str = "",
        related: tuple[Location, ...] = (),
        spoils: bool = False,
        severity: Severity = "error",
    ) -> None:
        """One finding of rule ``number``; the rule's own fix where no better one is known."""
        if at in self._spoiled:
            return
        fix = masked(fix or RULES[number].fix)
        finding = Finding(self.kind + number, severity, masked(message), at, valid, fix, related)
        self._found[finding] = None
        if spoils and at:
            self.spoil(at)

    def show(self, path: Path) -> str:
        """What findings call the value at ``path``."""
        return show_path(self._whole(path)[max(0, len(self._below) - 1) :]) if path else "the file"

    def snippet(self, path: Path, value: Any) -> str:
        """YAML to paste that sets ``path``."""
        return shape.snippet(self._whole(path), value)

    def _whole(self, path: Path) -> Path:
        if not (self._below and path):
            return path
        *before, prefix = self._below
        return (*before, f"{prefix}{path[0]}", *path[1:])

    def spoil(self, at: Location) -> None:
        """Say nothing more about this place."""
        self._spoiled.add(at)
