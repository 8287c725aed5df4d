"""Pyroscope's configuration and its limits per tenant, compared as a whole with what was reviewed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from policies.context import platform
from policies.documents import compared, missing_said, standing_back
from policies.objects import WORKLOADS, documents
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules import durability, limits, metastore, outside, retention, secrets, tenants, transport
from schemas.reviewed import configuration

# Who says the same of a single key, and says it better.
_BEFORE: Final = (
    *(*retention.RULES, *tenants.RULES, *transport.RULES, *outside.RULES, *secrets.RULES),
    *(*metastore.RULES, *durability.RULES, *limits.RULES),
)
_MISSING: Final = ("lacks config.yaml", "lacks overrides.yaml", "lacks overrides;", "has a document")


def _backend(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    declared = found.find("ConfigMap", *configuration.CONFIG)
    said = documents(declared).get("config.yaml") if declared else None
    config = configuration.config_file(found.settings, said if isinstance(said, Mapping) else {})
    broken = [*compared(found, configuration.CONFIG, {"config.yaml": config})]
    overrides = configuration.overrides_file(found.settings, found.catalog)
    broken += compared(found, configuration.OVERRIDES, {"overrides.yaml": overrides})
    # What is not there at all rule FP011 names, at the program that would read it.
    there = [v for v in broken if v.manifest is not None and not any(m in v.message for m in _MISSING)]
    if len(there) < len(broken) and missing_said(manifests, tenants.RULES):
        broken = there
    yield from standing_back(broken, manifests, _BEFORE)


RULES: Final = (
    Rule(
        id="FP054",
        name="backend-configuration",
        why="Pyroscope's defaults share one tenant, keep for ever, report to the vendor and ask a public server; some "
        "are stated in no reference. What is not set as reviewed is as good as unknown.",
        remediation="Change what it follows from: `backend` of the settings, the teams and services under services/, "
        "or, reviewed, the table in schemas/reviewed/configuration.py with its line in docs/backend.md.",
        kinds=("ConfigMap", *WORKLOADS, "PodDisruptionBudget", SETTINGS),
        check=_backend,
        scope="stack",
        waivable=False,
    ),
)
