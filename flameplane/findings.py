"""Findings: what every command that judges something reports, and how they are printed.

A finding is one mistake with one stable id. Where it is known, it points at the exact characters of the file at fault.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from flameplane.tokens import masked

Severity = Literal["error", "warning", "note"]
Format = Literal["text", "json", "markdown", "sarif", "github", "junit"]
EXCERPT = 160  # characters of a source line that are shown
LEAKED = "SET060"  # the finding that points at a secret


@dataclass(frozen=True, order=True)
class Location:
    """A place in a file (path from the project root, with ``/``); line and columns start at 1, the end is exclusive."""

    file: str
    line: int
    column: int
    end_column: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Finding:
    """One mistake. ``valid`` lists what would be accepted, ``fix`` says what to do, ``subject`` what it is about.

    ``waived`` is the waiver that covers it (policies/waivers.yaml) in words. Such a finding is a note: it blocks
    nothing, and is shown all the same.
    """

    id: str
    severity: Severity
    message: str
    location: Location | None = None
    valid: tuple[str, ...] = ()
    fix: str = ""
    related: tuple[Location, ...] = ()
    subject: str = ""
    waived: str = ""


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Findings by place, then by id, each once: the order does not depend on the order of the checks."""
    return sorted(dict.fromkeys(findings), key=lambda f: (*_place(f), f.id, f.message))


def _place(finding: Finding) -> tuple[str, int, int]:
    at = finding.location
    return (at.file, at.line, at.column) if at else ("", 0, 0)


def format_findings(
    findings: Sequence[Finding],
    fmt: Format,
    root: Path,
    texts: Mapping[str, tuple[str, str, str]] | None = None,
    source: str = "",
) -> str:
    """The findings as one text, ending in a newline unless there is nothing to say.

    ``texts`` gives SARIF the title, reason and fix of rules by id; those of declared files are known. ``source`` is
    the address that the project's files lie below, for SARIF's links to the documentation.
    """
    if fmt == "json":
        return json.dumps({"findings": [asdict(f) for f in findings]}, indent=2, ensure_ascii=False) + "\n"
    if fmt == "sarif":
        from flameplane.sarif import to_sarif  # noqa: PLC0415  # the other formats do not need it

        return to_sarif(findings, texts or {}, source)
    if fmt == "junit":
        from flameplane.junit import to_junit  # noqa: PLC0415

        return to_junit(findings)
    if fmt == "markdown":
        return _markdown(findings)
    if fmt == "github":
        return "".join(_github(f) + "\n" for f in findings)
    sources: dict[str, list[str]] = {}
    return "".join(_text(f, root, sources) for f in findings)


def _text(finding: Finding, root: Path, sources: dict[str, list[str]]) -> str:
    """Message, source line and marker, then what is valid, the fix and the places that play a part."""
    at = finding.location
    level = "" if finding.severity == "error" else f"{'waived' if finding.waived else finding.severity}: "
    subject = f"{finding.subject}: " if finding.subject and not at else ""
    lines = [
        f"{at}: {level}{finding.message} [{finding.id}]" if at else f"{level}{subject}{finding.message} [{finding.id}]"
    ]
    if at and (source := _source_line(at, root, sources)) is not None:
        lines += _excerpt(_without_secret(source, at) if finding.id == LEAKED else masked(source), at)
    if finding.waived:
        lines.append(f"   waived: {finding.waived}")
    if finding.valid:
        lines.append(f"   valid: {', '.join(finding.valid)}")
    if finding.fix:
        first, *rest = finding.fix.splitlines()
        lines += [f"   fix: {first}", *(f"        {line}" for line in rest)]
    lines += [f"   see: {place}" for place in finding.related if str(place) not in finding.message]
    return "".join(_printable(line) + "\n" for line in lines)


def _printable(text: str) -> str:
    """Text without characters that could steer a terminal, each replaced by one of the same width."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _without_secret(source: str, at: Location) -> str:
    """The source line up to a secret: behind the key that is pointed at, or before the value."""
    shown = source[: (at.end_column or at.column) - 1]
    return f"{shown}{': ' if at.end_column else ''}..."


def _excerpt(source: str, at: Location) -> list[str]:
    """The source line and, below it, a marker under the characters meant; of a very long line the part around them."""
    number, start = str(at.line), at.column - 1
    width = max(1, min(at.end_column or at.column + 1, len(source) + 1) - at.column)
    if len(source) > EXCERPT:
        cut = max(0, start - EXCERPT // 2)
        source, start = source[cut : cut + EXCERPT], start - cut
        width = max(1, min(width, len(source) - start))
    indent = "".join("\t" if c == "\t" else " " for c in source[:start])
    return [f" {number} | {source}", f" {' ' * len(number)} | {indent}^{'~' * (width - 1)}"]


def _source_line(at: Location, root: Path, sources: dict[str, list[str]]) -> str | None:
    if at.file not in sources:
        file = root / at.file
        try:  # neither a link's target nor a pipe
            data = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
        except OSError:
            data = b""
        sources[at.file] = data.decode("utf-8-sig", errors="replace").splitlines()
    lines = sources[at.file]
    return lines[at.line - 1] if 0 < at.line <= len(lines) else None


def _markdown(findings: Sequence[Finding]) -> str:
    """A table. Waived findings say so."""
    lines = ["| finding | where | what | fix |", "| --- | --- | --- | --- |"]
    for f in findings:
        what = f"{f.message} (waived {f.waived})" if f.waived else f.message
        cells = (f"{f.severity} {f.id}", str(f.location or f.subject), what, f.fix)
        lines.append(f"| {' | '.join(markdown_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n" if findings else "No findings.\n"


_MENTION = re.compile(r"(?<![\w`])@[\w./-]+")
_SPECIAL = re.compile(r"([\\`*_\[\]<|~])")


def markdown_cell(text: str) -> str:
    """Text on one line that means nothing to Markdown and notifies nobody whom it names."""
    text = _printable(" ".join(text.split()))
    parts, last = [], 0
    for found in _MENTION.finditer(text):
        parts += [_SPECIAL.sub(r"\\\1", text[last : found.start()]), f"`{found[0]}`"]
        last = found.end()
    return "".join((*parts, _SPECIAL.sub(r"\\\1", text[last:])))


def _github(finding: Finding) -> str:
    """A GitHub Actions workflow command: shown as an annotation on the changed line."""
    level = {"error": "error", "warning": "warning", "note": "notice"}[finding.severity]
    fields = []
    if at := finding.location:
        fields = [f"file={_escape(at.file, ',:')}", f"line={at.line}", f"col={at.column}"]
        if at.end_column:
            fields.append(f"endColumn={at.end_column}")
    fields.append(f"title={_escape(finding.id, ',:')}")
    details = [finding.message]
    if finding.waived:
        details.append("waived: " + finding.waived)
    if finding.valid:
        details.append("valid: " + ", ".join(finding.valid))
    if finding.fix:
        details.append("fix: " + finding.fix)
    return f"::{level} {','.join(fields)}::{_escape(chr(10).join(details))}"


def _escape(text: str, more: str = "") -> str:
    for c in "%\r\n" + more:
        text = text.replace(c, f"%{ord(c):02X}")
    return text
