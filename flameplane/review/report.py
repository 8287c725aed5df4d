"""What `flameplane plan` has to say, in every form that it can be asked for."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flameplane.cost import Estimate
from flameplane.findings import Finding, Format, format_findings
from flameplane.plan.summary import Summary, as_json, as_text
from flameplane.review import document, text
from flameplane.review.markdown import Page, as_markdown
from flameplane.review.redact import Redactor
from flameplane.review.review import Review, Side, cost_of


@dataclass
class Report:
    """``summary`` is None when findings of the declared files stopped it before the program ran, or when the program or
    the pack failed (``failed``; the last finding says so).

    ``texts`` are title, reason and fix of the pack's rules; ``source`` is the address that files are linked below.
    """

    root: Path
    stack: str
    findings: list[Finding]
    side: Side
    summary: Summary | None = None
    before: Side | None = None
    review: Review | None = None
    texts: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    source: str = ""
    failed: bool = False

    def in_form(self, fmt: Format) -> str:
        """The whole output."""
        match fmt:
            case "json":
                return json.dumps(self._redactor.tree(self._document()), indent=2, ensure_ascii=False) + "\n"
            case "markdown":
                return as_markdown(self.page())
            case "text":  # for whoever runs it: values are shown, secrets are not
                return self._text()
        findings = [self._redactor.finding(finding) for finding in self.findings]
        return format_findings(findings, fmt, self.root, self.texts, self.source)

    def page(self) -> Page:
        """What the comment is made from."""
        source = self.source or "."
        return Page(self.stack, self.findings, self.summary, self.review, self.cost, source, self._redactor)

    @cached_property
    def _redactor(self) -> Redactor:
        """What leaves the run, to a pull request, code scanning or another program, leaves without identities."""
        sides = [side for side in (self.before, self.side) if side]
        return Redactor(tuple(s.settings for s in sides), tuple(s.recording for s in sides))

    @property
    def cost(self) -> Estimate | None:
        """The estimate; None while the declarations have findings."""
        return cost_of(self.side) if self.summary else None

    def _text(self) -> str:
        if self.summary is None:
            count = len(self.findings)
            end = f"{count} finding{'s' if count > 1 else ''}: the program was not run\n"
            return format_findings(self.findings, "text", self.root) + ("" if self.failed else end)
        more = [*text.as_lines(self.review), ""] if self.review else []
        if self.cost:
            more += text.cost_lines(self.cost, self.review.cost_before if self.review else None)
        return as_text(self.stack, self.summary, self.findings, self.root, more)

    def _document(self) -> dict[str, Any]:
        return {
            **as_json(self.stack, self.summary, self.findings),
            "cost": document.cost(self.cost) if self.cost else None,
            "changes": document.changes(self.review) if self.review else None,
        }
