"""What makes a finding the same finding in another version of the files: everything but where its lines have moved."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from flameplane.findings import Finding

_PLACE: Final = re.compile(r":\d+(:\d+)?\b")  # file:line:column inside a message
LENGTH: Final = 32  # hex digits: 128 bits


def fingerprints(findings: Sequence[Finding]) -> list[str]:
    """One per finding, in their order. Findings that cannot be told apart are numbered."""
    seen: Counter[str] = Counter()
    result = []
    for finding in findings:
        file = finding.location.file if finding.location else ""
        parts = (finding.id, file, finding.subject, _PLACE.sub("", finding.message))
        text = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:LENGTH]
        seen[text] += 1
        result.append(text if seen[text] == 1 else f"{text}:{seen[text]}")
    return result
