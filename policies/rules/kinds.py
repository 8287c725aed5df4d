"""Kinds: what the rules do not know they cannot judge, so nothing else may be declared."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.objects import at, breaks
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import CLOUD_KINDS, KINDS


def _known(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        kind, version = str(manifest.get("kind")), manifest.get("apiVersion")
        if kind == "Release":
            continue  # FP003
        if ":" in kind:
            if kind not in CLOUD_KINDS:
                yield Violation(f"{kind} {at(manifest, 'metadata', 'name')} is of a kind that no rule judges", manifest)
        elif kind not in KINDS:
            yield breaks(manifest, f"({version}) is of a kind that no rule judges")
        elif version is not None and KINDS[kind] and version not in KINDS[kind]:
            yield breaks(manifest, f"has apiVersion {version}; valid: {', '.join(KINDS[kind])}")


RULES: Final = (
    Rule(
        id="FP016",
        name="known-kinds",
        why="A kind that no rule knows passes all of them: an access key, a public function, a replication of the "
        "bucket, a workload of an operator.",
        remediation="Use the kinds of `KINDS` and `CLOUD_KINDS` in schemas/allowed.py; a new one is added there "
        "together with the rules that judge it.",
        kinds=(),
        check=_known,
    ),
)
