"""Kinds, and inputs in the cloud: what the rules do not know they cannot judge, so nothing else may be declared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.objects import at, breaks
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import CLOUD_KINDS, KINDS
from schemas.reviewed.cloud_inputs import INPUTS

PROVIDERS_OWN: Final = "__defaults"  # names of the inputs that the provider filled in


def _known(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for manifest in manifests:
        kind, version = str(manifest.get("kind")), manifest.get("apiVersion")
        if kind in ("Release", "Secret"):
            continue  # rules FP003 and FP019 refuse them
        if ":" in kind:
            named = f"{kind.rpartition(':')[2]} {at(manifest, 'metadata', 'name')}"
            if kind not in CLOUD_KINDS:
                yield Violation(f"{kind} {at(manifest, 'metadata', 'name')} is of a kind that no rule judges", manifest)
                continue
            for path in dict.fromkeys(_unknown(manifest.get("spec") or {}, INPUTS[kind])):
                yield Violation(f"{named} sets {path}, which no rule judges", manifest)
        elif at(manifest, "metadata", "managedFields") is not None:
            how = "declares managedFields, by which the server says what is declared: rules would look at nothing else"
            yield breaks(manifest, how)
        elif kind not in KINDS:
            yield breaks(manifest, f"({version}) is of a kind that no rule judges")
        elif version is not None and KINDS[kind] and version not in KINDS[kind]:
            yield breaks(manifest, f"has apiVersion {version}; valid: {', '.join(KINDS[kind])}")


def _unknown(value: Any, known: Sequence[str], path: str = "") -> Iterator[str]:
    """Paths of inputs that the table has not. Values are read only on the way to what is in a map or a list."""
    if isinstance(value, Mapping):
        for key in value:
            here = f"{path}.{key}".removeprefix(".")
            if key == PROVIDERS_OWN or here in known or f"{path}.*" in known:
                continue
            if any(one.startswith(f"{here}.") for one in known):
                yield from _unknown(value[key], known, here)
            else:
                yield here
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for one in value:
            yield from _unknown(one, known, path)


RULES: Final = (
    Rule(
        id="FP016",
        name="known-kinds",
        why="A kind that no rule knows passes all of them: an access key, a public function, a replication of the "
        "bucket, a workload of an operator. So does an input of a bucket or a role that none judges.",
        remediation="Use the kinds of `KINDS` and `CLOUD_KINDS` in schemas/allowed.py; a new one is added there "
        "together with the rules that judge it. Inputs in the cloud: schemas/reviewed/cloud_inputs.py.",
        kinds=(),
        check=_known,
    ),
)
