"""Certificates between the gateway and the backend, compared as a whole: who holds one reads every profile."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.compare import differences, present
from policies.context import environment
from policies.objects import at, breaks, name, namespace
from policies.resources import SETTINGS
from policies.reviewed_pods import metadata
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import NAMESPACES
from schemas.reviewed.certificates import KIND, certificates, issuer


def _certificates(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (settings := environment(manifests)) is None:
        return
    wanted, signer = certificates(settings), issuer(settings)
    missing = dict(wanted) if any(m.get("kind") == "Namespace" and name(m) in NAMESPACES for m in manifests) else {}
    for manifest in (m for m in manifests if m.get("kind") == KIND):
        where = (namespace(manifest), name(manifest))
        spec, signed = missing.pop(where, wanted.get(where)), at(manifest, "spec", "issuerRef", "name")
        if spec is not None:
            for difference in differences({"spec": present(manifest.get("spec"))}, {"spec": spec}):
                yield breaks(manifest, str(difference))
            yield from metadata(manifest)
        elif where[0] in NAMESPACES:
            yield breaks(manifest, "was not reviewed: no program of the platform shows it")
        elif signer is not None and signed == signer:
            yield breaks(
                manifest, f"is signed by {signer}: whoever holds it is let in by the backend as the gateway is"
            )
    for where in missing:
        yield Violation(f"{KIND}/{where[1]} in {where[0]} is not declared: the pods that mount it never start")


RULES: Final = (
    Rule(
        id="FP056",
        name="certificates-as-reviewed",
        why="Pyroscope lets in whoever holds a certificate of the platform's issuer, so one for somebody else, "
        "for ten years or with a weak key opens every team's profiles; without one no pod starts.",
        remediation="Keep the two certificates of components/pyroscope_certificates.py as "
        "schemas/reviewed/certificates.py has them, and ask the issuer of `backend.tls.issuer` for no other.",
        kinds=(KIND, "Namespace", SETTINGS),
        check=_certificates,
        scope="stack",
        waivable=False,
    ),
)
