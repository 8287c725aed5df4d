"""Writes schemas/reviewed/admission/ from what is rendered now: `python tests/plan/review_admission.py`.

Run it after a change of an admission policy, and review the difference: rule FP041 and the mutation run hold to what
these files say.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from environments import rendered  # noqa: E402
from guards import Stack  # noqa: E402
from guards.admission import POLICIES, REVIEWED, reviewable  # noqa: E402


class Readable(yaml.SafeDumper):
    """CEL over several lines stays CEL over several lines."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Readable.add_representer(str, _text)

if __name__ == "__main__":
    for old in REVIEWED.glob("*.yaml"):
        old.unlink()
    with TemporaryDirectory() as scratch:
        environment = rendered("prod", ROOT, Path(scratch))
    stack = Stack(environment.manifests, environment.settings, environment.catalog, environment.lock)
    for manifest in stack.of(*POLICIES):
        text = yaml.dump(reviewable(manifest, stack), Dumper=Readable, sort_keys=False, width=120)
        (REVIEWED / f"{manifest['metadata']['name']}.yaml").write_text(text)
