"""Parts of a comment: a table of findings, links, a field with its values as far as they may be shown, a fold."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from flameplane.findings import Finding, Location
from flameplane.findings import markdown_cell as md
from flameplane.review.fields import ABSENT, GETS, LOSES, FieldChange, shown
from flameplane.review.redact import Redactor
from flameplane.sarif import page_of

FINDINGS: Final = 20  # of a list that are shown
LINK: Final = "\x00"  # stands for the address of the repository until everything else is redacted
# What happens to a field whose value is not shown.
_STATES: Final = {
    "gets": "gets an entry",
    "loses": "loses an entry",
    "added:": "added",
    "removed, was": "removed",
    "changed": "changed",
}
_CELL: Final = 220  # characters of a cell
_SENTENCE: Final = re.compile(r"[.:;!?] (?=[A-Z`])")  # "2.2. built" ends none
_SIGN: Final = {"error": "❌", "warning": "⚠️", "note": "ℹ️"}


def table(findings: Sequence[Finding]) -> str:
    """Findings as a table, the first of them alone."""
    lines = ["| rule | what | where | fix |", "| --- | --- | --- | --- |"]
    for f in findings[:FINDINGS]:
        where = link(f.location) if f.location else md(f.subject.rpartition("::")[2])
        fix = md(brief(f.fix))
        lines.append(f"| {_SIGN[f.severity]} {rule(f)} | {md(brief(f.message))} | {where} | {fix} |")
    if len(findings) > FINDINGS:
        lines.append(f"\n… and {len(findings) - FINDINGS} more, in the output of the job.")
    return "\n".join(lines)


def many(count: int) -> str:
    """``3 findings``."""
    return f"{count} finding{'' if count == 1 else 's'}"


def brief(text: str) -> str:
    """The first sentences that fit into a cell, never half a remark in brackets; the whole is in the job's output."""
    text = " ".join(text.split())
    if len(text) <= _CELL:
        return text
    for end in reversed([found.start() + 1 for found in _SENTENCE.finditer(text, 0, _CELL)]):
        if end > _CELL // 3 and not _open(text[:end]):
            return text[:end]
    kept = text[: text.rfind(" ", 0, _CELL)]
    if (at := _open(kept)) > _CELL // 3:
        kept = text[: at - 1].rstrip()
        return f"{kept} …"
    return f"{kept} …{')' if at else ''}"


def _open(text: str) -> int:
    """Where the first bracket opens that is not closed, from 1; 0 for none."""
    opened: list[int] = []
    for i, c in enumerate(text, 1):
        if c == "(":
            opened.append(i)
        elif c == ")" and opened:
            opened.pop()
    return opened[0] if opened else 0


def rule(finding: Finding) -> str:
    """The id, linked to its page."""
    return f"[{finding.id}]({LINK}/{page_of(finding.id)})"


def guarded(change: FieldChange) -> str:
    """A field of an object or a setting: its values only if the allow-list lets all of them through."""
    key = next((str(s) for s in reversed(change.path) if isinstance(s, str) and s not in (GETS, LOSES)), "")
    values = [value for value in (change.before, change.after) if value is not ABSENT]
    if not all(Redactor.may_show(value, key) for value in values):
        return f"{code(change.field)} {_STATES[change.state]}"
    if len(values) == 1:
        return f"{code(change.field)} {change.state} {md(shown(values[0]))}"
    return f"{code(change.field)} {md(shown(change.before))} → {md(shown(change.after))}"


def code(text: str) -> str:
    """Text as code, on one line."""
    return "`" + " ".join(text.split()).replace("`", "'") + "`"


def link(at: Location) -> str:
    """File and line, linked."""
    return f"[{md(f'{at.file}:{at.line}')}]({address(at)})"


def at(finding: Finding) -> str:
    """The place of a finding behind a dot, if it has one."""
    return f" · {link(finding.location)}" if finding.location else ""


def address(at: Location) -> str:
    """The address of a place."""
    return f"{LINK}/{quote(at.file)}#L{at.line}"


def folded(title: str, text: str) -> str:
    """Text below a title that opens it."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"
