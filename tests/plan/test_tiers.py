"""The table at the end of `make test`: a tier that did not run is never counted as passed, and CI may not skip its own.

Works on real pytest runs of small files; the tiers themselves are not run here.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import run

TESTS = """
import pytest
def test_passes(): pass
def test_fails(): assert False
def test_cannot(): pytest.skip("NOT RUN: no  such\\n tool")
@pytest.fixture
def broken(): raise RuntimeError
def test_error(broken): pass
"""


@pytest.fixture
def tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], run.Row]:
    """Run a tier of the given name whose only file has the given content."""
    monkeypatch.setattr(run, "ROOT", tmp_path)

    def result(name: str, content: str) -> run.Row:
        folder = tmp_path / run.TIERS[name][0]
        folder.mkdir(parents=True, exist_ok=True)
        if content:
            (folder / "test_x.py").write_text(content)
        monkeypatch.setattr(run, "TIERS", {name: (run.TIERS[name][0],)})
        return run.run_tier(name)

    return result


def test_every_outcome_is_counted_as_what_it_is(tier: Callable[[str, str], run.Row]) -> None:
    row = tier("plan", TESTS)
    assert (row.passed, row.failed, row.broken) == (1, 2, "")
    assert row.not_run == Counter({"no such tool": 1})


def test_a_plan_tier_that_ran_nothing_has_failed(tier: Callable[[str, str], run.Row]) -> None:
    assert tier("plan", "").broken == "no test ran"


SKIPPED = "import pytest\ndef test_a(): pytest.skip('NOT RUN: no root')"


def test_a_cluster_tier_that_could_not_run_says_so(
    tier: Callable[[str, str], run.Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    row = tier("cluster", SKIPPED)
    assert (row.broken, row.not_run) == ("", Counter({"no root": 1}))


def test_in_ci_as_root_the_cluster_tier_has_to_run(
    tier: Callable[[str, str], run.Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(run.os, "geteuid", lambda: 0)
    assert "this machine is there to run them" in tier("cluster", SKIPPED).broken


def test_a_tier_that_breaks_off_has_failed(tier: Callable[[str, str], run.Row]) -> None:
    assert tier("engine", "import os\nos._exit(7)").broken == "pytest ended with code 7"


def test_other_tiers_without_a_tool_are_no_failure(tier: Callable[[str, str], run.Row]) -> None:
    row = tier("engine", SKIPPED)
    assert (row.broken, row.not_run.total()) == ("", 1)


def test_every_reason_stands_in_the_table() -> None:
    rows = [run.Row("plan", 5, 0), run.Row("engine", 0, 0, Counter({"no pulumi": 3, "x" * 200: 1}), 12.3)]
    lines = run.table(rows)
    assert lines[0].split()[:3] == ["tier", "passed", "failed"]
    assert lines[2].split()[:4] == ["engine", "0", "0", "4"]
    assert lines[2].endswith("3: no pulumi")
    assert lines[3].strip().startswith("1: xxx")
    assert max(map(len, lines)) < 160


def test_lint_alone_ends_with_a_summary(root: Path, tmp_path: Path) -> None:
    """The whole program once, on an empty project: the last line is the summary, the exit code tells a failure."""
    for name in ("pyproject.toml", "tests/run.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((root / name).read_bytes())
    command = [sys.executable, "tests/run.py", "--lint"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "2 passed, 1 failed"  # mypy finds no folder to check
