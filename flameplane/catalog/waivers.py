"""policies/waivers.yaml for `validate`, in the words of the pack. What a waiver covers is for the pack to say."""

import ast
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from flameplane.findings import Finding, Location
from schemas.waivers import FILE, TEXTS, read

RULES = "policies/rules"


def check_waivers(root: Path, today: date | None = None) -> list[Finding]:
    """Findings of the waivers file, if the project has one."""
    file = root / FILE
    if not file.exists() and not file.is_symlink():
        return []
    if file.is_symlink() or not file.is_file():
        return [Finding("WVR001", "error", "is no ordinary file", Location(FILE, 1, 1), fix="Replace it by a file.")]
    try:
        data = file.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        return [Finding("WVR001", "error", message, Location(FILE, 1, 1), fix=TEXTS["WVR001"][1])]
    waivers = read(data, known_rules(root), today or datetime.now(UTC).date())
    return [Finding(p.id, p.severity, p.message, Location(FILE, *p.place), p.valid, p.remedy) for p in waivers.problems]


def known_rules(root: Path) -> Mapping[str, bool] | None:
    """Whether a rule of the project can be waived, by its id; None where there are none to read.

    Read from the source, since nothing of the pack runs in `validate`.
    """
    found: dict[str, bool] = {}
    for file in sorted((root / RULES).glob("*.py")):
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return None  # the pack itself says so
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rule":
                given = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
                if "id" in given:
                    found[str(given["id"])] = given.get("waivable") is not False
    return found or None
