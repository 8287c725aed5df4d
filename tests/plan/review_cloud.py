"""Writes tests/plan/reviewed/cloud/ from what is declared now: `python tests/plan/review_cloud.py`.

Run it after a change of the cloud side, and review the difference: the mutation run holds to what these files say.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from environments import rendered  # noqa: E402
from guards import Stack  # noqa: E402
from guards.cloud import REVIEWED, reviewable  # noqa: E402

if __name__ == "__main__":
    REVIEWED.mkdir(parents=True, exist_ok=True)
    for name in ("dev", "staging", "prod"):
        with TemporaryDirectory() as scratch:
            environment = rendered(name, ROOT, Path(scratch))
        everything = (*environment.manifests, *environment.cloud)
        stack = Stack(everything, environment.settings, environment.catalog, environment.lock)
        text = yaml.safe_dump(reviewable(stack), sort_keys=True, width=120)
        (REVIEWED / f"{name}.yaml").write_text(text)
