"""Where findings are written: every wrong `--output` is one message before anything is checked or written."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flameplane.cli import app

ROWS = {
    "the same file": ("x", "x", "two formats go to x; give each an output of its own"),
    "another spelling": ("x", "./x", "two formats go to ./x, which x is as well"),
    "another name of a file": ("a", "b", "two formats go to b, which a is as well"),
    "a link to it": ("link", "target", "two formats go to target, which link is as well"),
    "standard output twice": ("-", "-", "two formats go to -; give"),
    "a folder": ("folder", "x", "folder is no file: name one"),
    "in no folder": ("nowhere/x", "y", "there is no folder nowhere"),
    "nothing": ("", "x", "an empty name is no file"),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("command", [["validate"], ["plan", "-s", "prod"]])
def test_refused_and_nothing_written(
    row: str, command: list[str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, words = ROWS[row]
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").write_text("kept")
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "link").symlink_to("target")
    monkeypatch.chdir(tmp_path)
    where = [str(root)] if command == ["validate"] else []
    result = CliRunner().invoke(app, [*command, *where, "-f", "json", "-o", first, "-f", "sarif", "-o", second])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "folder", "link"]
    assert (tmp_path / "a").read_text() == "kept"
