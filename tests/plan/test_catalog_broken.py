"""Broken declarations: each case of `broken/` is one mistake laid over the small project `broken/base`.

Proves that each gives exactly the finding of its `expected.txt` (id, file, line, column, words, fix) and that nothing,
mutated bytes included, makes the reader raise. Proves nothing about mistakes that are not in the corpus.
After a change of words: FLAMEPLANE_UPDATE=1 rewrites the expectations; read the difference.
"""

import os
import random
import re
import shutil
from pathlib import Path

import pytest

from flameplane.catalog.project import check_project
from flameplane.catalog.report import Report
from flameplane.catalog.rules import RULES
from flameplane.catalog.strict import parse
from flameplane.findings import format_findings

BROKEN = Path(__file__).parent / "broken"
CASES = sorted(p.name for p in BROKEN.iterdir() if p.name != "base")


def project(case: str, tmp_path: Path) -> Path:
    """The base project with the case's files laid over it, without those that its REMOVE lists."""
    root = tmp_path / "project"
    shutil.copytree(BROKEN / "base", root)
    shutil.copytree(BROKEN / case, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("expected.txt", "REMOVE"))
    removed = BROKEN / case / "REMOVE"
    for name in removed.read_text().split() if removed.exists() else ():
        (root / name).unlink()
        for folder in (root / name).parents:  # Git keeps no empty folders
            if folder != root / "services" and not any(folder.iterdir()):
                folder.rmdir()
    return root


def test_base_is_clean(tmp_path: Path) -> None:
    shutil.copytree(BROKEN / "base", tmp_path / "project")
    checked = check_project(tmp_path / "project")
    assert checked.findings == []
    assert checked.loaded.catalog is not None


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_expected_finding(case: str, tmp_path: Path) -> None:
    root = project(case, tmp_path)
    findings = check_project(root).findings
    text = format_findings(findings, "text", root)
    expected = BROKEN / case / "expected.txt"
    if os.environ.get("FLAMEPLANE_UPDATE") == "1":
        expected.write_text(text)
    assert text == expected.read_text()
    assert len(findings) == (2 if case.startswith("two-") else 1)
    assert all(finding.fix for finding in findings)
    for fmt in ("json", "sarif", "github"):
        assert findings[0].id in format_findings(findings, fmt, root)


# What YAML minds, and what readers of YAML have stumbled over.
WORDS = [
    *(
        b"\t",
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!int ",
        b"---\n",
        b"%YAML",
        b"{",
        b"]",
        b"- ",
        b": ",
        b"#",
        b"'",
        b'"',
        b"|\n",
        b"? ",
    ),
    *(b"yes", b"null", b"0x1f", b"9" * 400, b"spec:", b"name: go\n", b"[" * 50),
    *(b"\xff", b"\x00", b"\r", b"\xe2\x80\xa8", b"\xf0\x9f\x94\xa5"),
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The file with one to four places damaged: cut, doubled, replaced, or with something put in that YAML minds."""
    for _ in range(chance.randint(1, 4)):
        i, j = sorted(chance.randint(0, len(data)) for _ in range(2))
        j = min(j, i + 40)
        middle = chance.choice((b"", data[i:j] * 2, chance.choice(WORDS), bytes([chance.randint(0, 255)])))
        data = data[:i] + middle + data[j:]
    return data


def test_mutated_bytes_give_findings_and_never_raise(tmp_path: Path) -> None:
    """Every mutant is read alone and in the project; formatting must survive it as well. Seeded, so that it repeats."""
    chance = random.Random(20260822)
    files = sorted((BROKEN / "base").rglob("*.yaml"))
    shutil.copytree(BROKEN / "base", tmp_path / "project")
    findings = 0
    for _ in range(600):
        file = chance.choice(files)
        target = tmp_path / "project" / file.relative_to(BROKEN / "base")
        data = mutated(file.read_bytes(), chance)
        target.write_bytes(data)
        checked = check_project(tmp_path / "project")
        text = format_findings(checked.findings, "text", tmp_path / "project")
        format_findings(checked.findings, "github", tmp_path / "project")
        format_findings(checked.findings, "sarif", tmp_path / "project")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text), data
        for finding in checked.findings:
            assert finding.location and finding.location.line >= 1 and finding.location.column >= 1
            lines = len(
                (tmp_path / "project" / finding.location.file).read_bytes().decode(errors="replace").splitlines()
            )
            assert finding.location.line <= max(1, lines), (finding, data)
        assert bool(checked.findings) == (checked.loaded.catalog is None)
        findings += bool(checked.findings)
        target.write_bytes(file.read_bytes())
    assert findings > 400  # the mutants are real damage


def test_noise_is_refused() -> None:
    """Bytes that are no file of ours at all, deep nesting and size included."""
    chance = random.Random(7)
    noise = [chance.randbytes(chance.randint(1, 300)) for _ in range(300)]
    noise += [b"[" * 100_000, b"a: " * 5000, b"{a: " * 3000, b"a: b\n" * 30_000, b"? " * 5000, b"- " * 20_000]
    for data in noise:
        report = Report("SVC")
        tree = parse(data, "file.yaml", report)
        assert tree is not None or report.findings


def test_at_least_as_many_as_promised() -> None:
    assert len([case for case in CASES if not case.startswith("lock-")]) >= 60


def test_every_rule_has_a_case() -> None:
    """No rule without a file that breaks it. SET066 is about a file that is not there: test_catalog_load."""
    shown = {
        number
        for file in (*BROKEN.glob("*/expected.txt"), *BROKEN.parent.glob("broken_*/cases/*.txt"))
        for number in re.findall(r"\[[A-Z]{3}(\d{3})\]$", file.read_text(), re.MULTILINE)
    }
    assert shown == set(RULES) - {"066"}
