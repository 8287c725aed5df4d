"""Everything that is said about a recording: the policy pack's findings, those of the SDK's types, and of options."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Final

from flameplane.catalog import Sources
from flameplane.findings import Finding, in_order
from flameplane.plan.evaluate import evaluate
from flameplane.plan.fields import check_fields
from flameplane.plan.options import check_options
from flameplane.plan.recording import Recording

_IMPORTING: Final = Lock()  # Pulumi's SDKs load their modules lazily, which two threads must not do at once


def judge(
    recording: Recording,
    root: Path,
    sources: Sources | None = None,
    texts: dict[str, tuple[str, str, str]] | None = None,
) -> list[Finding]:
    """`evaluate` and `check_fields` at the same time: the pack works in a process of its own, and here an SDK has to be
    imported; then `check_options`. Raises ``PackFailed``."""
    with ThreadPoolExecutor(1, "fields") as pool:
        fields = pool.submit(_fields, recording, root)
        found = evaluate(recording, root, sources, texts)
        return in_order([*fields.result(), *check_options(recording, root), *found])


def _fields(recording: Recording, root: Path) -> list[Finding]:
    with _IMPORTING:
        return check_fields(recording, root)
