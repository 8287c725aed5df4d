"""What the recorder takes from Pulumi.yaml, the stack's file and the environment before anything runs.

Whatever is wrong with them is one sentence, never a traceback. That the engine refuses the same is not shown here.
"""

from pathlib import Path

import pytest
from plan_project import project

from flameplane.plan import ProgramFailed, record
from flameplane.plan.stack import load_stack

# What is appended to a Pulumi.yaml of name and runtime -> how the refusal begins.
PROJECTS = {
    "settings somewhere else": (
        "stackConfigDir: /etc\n",
        "Pulumi.yaml: stackConfigDir is '/etc'; it has to be a folder",
    ),
    "settings above": ("stackConfigDir: ../stacks\n", "Pulumi.yaml: stackConfigDir is '../stacks'; it has to be"),
    "settings in a list": ("stackConfigDir: [stacks]\n", "Pulumi.yaml: stackConfigDir is ['stacks']; it has to be"),
    "configuration as a list": ("stackConfigDir: stacks\nconfig: [a]\n", "Pulumi.yaml: config is not a map"),
    "configuration as text": ("stackConfigDir: stacks\nconfig: a\n", "Pulumi.yaml: config is not a map"),
    "control character": ("description: a\x07b\n", "Pulumi.yaml: not valid YAML: unacceptable character"),
    "anchor that refers to itself": (
        "stackConfigDir: stacks\nconfig:\n  deep: {default: &a [*a]}\n",
        "Pulumi.yaml: deep: holds itself",
    ),
    "no date": ("since: 2026-13-01\n", "Pulumi.yaml: not valid YAML: month must be in 1..12"),
    "nested": (f"config: {'[' * 5000}{']' * 5000}\n", "Pulumi.yaml: not valid YAML: "),
}


@pytest.mark.parametrize("case", PROJECTS)
def test_a_broken_project_file_is_told_in_words(case: str, tmp_path: Path) -> None:
    more, expected = PROJECTS[case]
    root = project(tmp_path / "p", "raise AssertionError")
    (root / "Pulumi.yaml").write_text(f"name: tiny\nruntime: python\n{more}")
    with pytest.raises(ProgramFailed) as failed:
        record(root, "local")
    assert failed.value.message.startswith(expected)


@pytest.mark.parametrize("name", ["", "name: [tiny]\n", "name: 5\n"])
def test_a_project_has_a_name(name: str, tmp_path: Path) -> None:
    root = project(tmp_path / "p", "raise AssertionError")
    (root / "Pulumi.yaml").write_text(f"{name}runtime: python\nstackConfigDir: stacks\n")
    with pytest.raises(ProgramFailed, match=r"Pulumi\.yaml: name:"):
        load_stack(root, "local")


@pytest.mark.parametrize("config", ["[a]", "text", "5"])
def test_a_stack_file_without_a_map_is_told_in_words(config: str, tmp_path: Path) -> None:
    root = project(tmp_path / "p", "raise AssertionError", stack=f"config: {config}\n")
    with pytest.raises(ProgramFailed) as failed:
        load_stack(root, "local")
    assert failed.value.message == "stacks/Pulumi.local.yaml: config is not a map"


def test_settings_may_lie_beside_the_project_file(tmp_path: Path) -> None:
    root = project(tmp_path / "p", "")
    (root / "stacks" / "Pulumi.local.yaml").rename(root / "Pulumi.local.yaml")
    (root / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
    assert load_stack(root, "local").config["tiny:size"] == "3"


def test_the_services_tree_is_that_of_the_caller_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree that somebody left in the environment would be recorded while the project's own was checked."""
    monkeypatch.setenv("FLAMEPLANE_SERVICES", "/somewhere/else")
    main = "import os, pulumi\npulumi.export('tree', os.environ.get('FLAMEPLANE_SERVICES', 'its own'))"
    root = project(tmp_path / "p", main)
    assert record(root, "local").resources[0].outputs["tree"] == "its own"
    assert record(root, "local", services=tmp_path).resources[0].outputs["tree"] == str(tmp_path)
