"""The rendered objects of every environment against the committed ones: every change of a manifest is seen in review.

Proves that nothing changed unnoticed, not that it is right: the rules, the mutation run and tests/cluster do that.
"""

from difflib import unified_diff
from pathlib import Path

import pytest

from flameplane.plan import record
from flameplane.plan.render import LIST, contents

GOLDEN = Path(__file__).parent / "golden"
RENEW = "for s in local dev staging prod; do .venv/bin/flameplane render -s $s -o tests/plan/golden/$s; done"
SHOWN = 200  # lines of the difference


@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_golden(stack: str, root: Path) -> None:
    """Same files, same bytes."""
    folder = GOLDEN / stack
    committed = {
        str(p.relative_to(folder)): p.read_text("utf-8") for p in folder.rglob("*") if p.name != LIST and p.is_file()
    }
    rendered = contents(record(root, stack), root)
    changes = []
    for name in sorted(committed.keys() | rendered.keys()):
        old, new = committed.get(name, ""), rendered.get(name, "")
        changes += unified_diff(
            old.splitlines(keepends=True),
            new.splitlines(keepends=True),
            f"golden/{stack}/{name}" if name in committed else "/dev/null",
            f"rendered/{stack}/{name}" if name in rendered else "/dev/null",
        )
    if changes:
        more = f"\n... and {len(changes) - SHOWN} lines more" if len(changes) > SHOWN else ""
        text = "".join(changes[:SHOWN]) + more
        pytest.fail(
            f"the objects of {stack} changed:\n{text}\nIf it is meant, renew them and commit both:\n  {RENEW}",
            pytrace=False,
        )
