"""Throw-away Pulumi projects for tests of `flameplane.plan`: they do not depend on the platform's own program."""

import os
from pathlib import Path
from textwrap import dedent

STACK = """\
config:
  size: 3
  tiny:shape: {b: [1, true, null], a: "x"}
  other:name: someone
  pulumi:disable-default-providers: [kubernetes]
"""


def project(folder: Path, main: str, stack: str = STACK, **files: str) -> Path:
    """A project named ``tiny`` with the stack ``local``; ``files``: further modules by name."""
    (folder / "stacks").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: tiny\nruntime: python\nstackConfigDir: stacks\n")
    (folder / "stacks" / "Pulumi.local.yaml").write_text(stack)
    (folder / "__main__.py").write_text(dedent(main))
    for name, text in files.items():
        (folder / f"{name}.py").write_text(dedent(text))
    return folder


def line_of(file: Path, part: str) -> int:
    """Number of the first line that holds ``part``."""
    return next(i for i, line in enumerate(file.read_text().splitlines(), 1) if part in line)


def children() -> set[int]:
    """Processes whose parent is this one (Linux)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found
