"""Findings as JUnit XML, which CI systems without annotations show: one case per finding, or one that passed."""

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from flameplane.findings import Finding


def to_junit(findings: Sequence[Finding]) -> str:
    """One suite. Errors are failures; warnings and notes, which let `plan` pass, are cases that were skipped."""
    failures = sum(f.severity == "error" for f in findings)
    cases = "".join(_case(f) for f in findings) or '  <testcase classname="flameplane" name="no findings"/>\n'
    count = f'tests="{max(1, len(findings))}" failures="{failures}" skipped="{len(findings) - failures}"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="flameplane" {count}>\n{cases}</testsuite>\n'


def _case(finding: Finding) -> str:
    name = f"{finding.location or finding.subject or 'the platform'} [{finding.id}]"
    lines = (
        finding.message,
        f"waived: {finding.waived}" if finding.waived else "",
        f"valid: {', '.join(finding.valid)}" if finding.valid else "",
        f"fix: {finding.fix}" if finding.fix else "",
    )
    details = "\n".join(line for line in lines if line)
    kind = "failure" if finding.severity == "error" else "skipped"
    level = "" if kind == "failure" else f"{'waived ' + finding.waived if finding.waived else finding.severity}: "
    message = quoteattr(_valid(level + finding.message))
    body = f"<{kind} message={message}>{escape(_valid(details))}</{kind}>"
    return f"  <testcase classname={quoteattr(finding.id)} name={quoteattr(_valid(name))}>{body}</testcase>\n"


def _valid(text: str) -> str:
    """Without the control characters that XML 1.0 has no place for."""
    return "".join(c if c >= " " or c in "\t\n\r" else "\N{REPLACEMENT CHARACTER}" for c in text)
