"""policies/waivers.yaml for `validate`: what can be said of it without the pack, in the pack's own words.

Whether a rule exists, can be waived and finds anything at the target is for the pack to say, when it runs in `plan`.
"""

from datetime import UTC, date, datetime
from pathlib import Path

from flameplane.findings import Finding, Location
from schemas.waivers import FILE, TEXTS, read


def check_waivers(root: Path, today: date | None = None) -> list[Finding]:
    """Findings of the waivers file, if the project has one."""
    file = root / FILE
    if not file.exists() and not file.is_symlink():
        return []
    if file.is_symlink() or not file.is_file():
        fix = TEXTS["WVR001"][1]
        return [Finding("WVR001", "error", "is no ordinary file", Location(FILE, 1, 1), fix=fix)]
    waivers = read(file.read_text(encoding="utf-8", errors="replace"), None, today or datetime.now(UTC).date())
    return [
        # What only ends soon is no mistake of the file; `plan` warns of it.
        Finding(
            p.id,
            "note" if p.severity == "warning" else "error",
            p.message,
            Location(FILE, *p.place),
            fix=TEXTS[p.id][1],
        )
        for p in waivers.problems
    ]
