"""Files in ConfigMaps: what cannot be read cannot be judged, and no program starts with it."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.objects import breaks, documents
from policies.rule import Manifest, Rule, Unreadable, Violation


def _readable(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        try:
            documents(manifest)
        except Unreadable as unreadable:
            yield breaks(manifest, f"holds what cannot be read ({unreadable}); rules that look into it stay silent")


RULES: Final = (
    Rule(
        id="FP059",
        name="readable-files",
        why="A file that no parser reads passes every rule that looks into it, and the program that mounts it fails or "
        "goes on with an older one.",
        remediation="Write it with `as_yaml` of components/text.py.",
        kinds=("ConfigMap",),
        check=_readable,
        waivable=False,
    ),
)
