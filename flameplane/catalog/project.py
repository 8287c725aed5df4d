"""Everything that is declared: services/, the settings of every environment, images.lock, waivers, grants."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flameplane.catalog.check import check
from flameplane.catalog.grants import load_grants
from flameplane.catalog.loading import Loaded, load
from flameplane.catalog.report import Report
from flameplane.catalog.settings import absent, load_settings, shared, stacks, strays
from flameplane.catalog.strict import read
from flameplane.catalog.waivers import check_waivers
from flameplane.findings import Finding, Location, in_order
from schemas.images import ImagesLock

LOCK = "images.lock"
PROGRAM = "Pulumi.yaml"


@dataclass(frozen=True)
class Checked:
    """What a look at the whole project found."""

    loaded: Loaded
    environments: tuple[str, ...]
    findings: list[Finding]


def check_project(root: Path, now: datetime | None = None) -> Checked:
    """Read and check every declared file. A folder that is no Pulumi project needs services/ only; one that is has the
    settings of every environment. ``now`` is what grants are held against; by default, the time it is.
    """
    loaded = load(root)
    environments = tuple(stacks(root))
    findings = list(loaded.findings)
    for stack in environments:
        findings += load_settings(root, stack, alone=True).findings
    findings += shared(root)
    findings += strays(root)
    if (root / PROGRAM).is_file():
        findings += absent(root)
    if (root / PROGRAM).is_file() or (root / LOCK).is_file():
        findings += check_lock(root)
    findings += check_waivers(root)
    findings += load_grants(root, loaded.catalog, now=now).findings
    return Checked(loaded, environments, in_order(findings))


def check_lock(root: Path) -> list[Finding]:
    """images.lock is JSON, so that a program can write it; as such it is YAML too, and read as strictly."""
    report = Report("LCK")
    file = root / LOCK
    if file.is_symlink() or (file.exists() and not file.is_file()):  # a link hides changes, a pipe would be waited for
        report.add("001", "is no ordinary file", Location(LOCK, 1, 1), fix="Make it a readable file.")
        return report.findings
    tree = read(file, LOCK, report)
    if tree:
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            report.add("002", f"not valid JSON: {error.msg}", Location(LOCK, error.lineno, error.colno))
        except ValueError:  # a number of thousands of digits, which the reader has told
            pass
        else:
            check(ImagesLock, tree, report)
    return report.findings
