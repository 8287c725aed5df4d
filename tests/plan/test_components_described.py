"""docs/components.md names every component, its file and its outputs; every component says why it is there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BASES = {"Component", "ScheduledJob", "Part", "ComponentResource"}
SHARED = {"Component", "Part"}  # abstract
CLOUD = "aws"  # described in docs/aws.md


def components(root: Path) -> Iterator[tuple[Path, ast.ClassDef]]:
    for file in sorted((root / "components").rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and {ast.unparse(b).rpartition(".")[2] for b in node.bases} & BASES:
                yield file, node


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/components.md").read_text()


def test_every_component_is_described_with_its_file_and_outputs(root: Path, page: str) -> None:
    found = [(file, node) for file, node in components(root) if CLOUD not in file.parts and node.name not in SHARED]
    assert len(found) > 20
    for file, node in found:
        assert f"{node.name}" in page, node.name
        if not node.name.startswith(("Distributor", "Segment", "Metastore", "Compaction", "Query", "Tenant")):
            assert file.name in page, file
        for output in (
            n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
        ):
            assert f"`{output}`" in page or output.startswith("_"), f"{node.name}.{output}"


def test_every_component_says_why(root: Path) -> None:
    for file, node in components(root):
        text = ast.get_docstring(node) or ""
        assert len(text.split()) >= 6, f"{file.name}: {node.name}"


def test_no_file_is_long(root: Path) -> None:
    """One component per file, short enough to be read at once."""
    for file in (root / "components").rglob("*.py"):
        assert len(file.read_text().splitlines()) < 300, file.name
