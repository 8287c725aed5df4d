"""Collects findings of one kind of file, so that one mistake is told once."""

from flameplane.catalog.rules import RULES
from flameplane.findings import Finding, Location, Severity


class Report:
    """Findings in the making. A place that could not be read is spoiled: what else is wrong there follows from that."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.findings: list[Finding] = []
        self._spoiled: set[Location] = set()

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
        finding = Finding(self.kind + number, severity, message, at, valid, fix or RULES[number].fix, related)
        if finding not in self.findings:
            self.findings.append(finding)
        if spoils and at:
            self.spoil(at)

    def spoil(self, at: Location) -> None:
        """Say nothing more about this place."""
        self._spoiled.add(at)
