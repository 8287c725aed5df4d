"""Pyroscope's configuration and its limits per tenant, compared as a whole with what was reviewed."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.backstop import Backstop, Suspect
from policies.context import Platform, platform
from policies.documents import compared
from policies.objects import WORKLOADS, at
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules import durability, limits, metastore, outside, retention, secrets, tenants, transport
from schemas.allowed import BACKEND_NAMESPACE
from schemas.reviewed import configuration

# Who says the same of a single key, and says it better.
_BEFORE: Final = (
    *(*retention.RULES, *tenants.RULES, *transport.RULES, *outside.RULES, *secrets.RULES),
    *(*metastore.RULES, *durability.RULES, *limits.RULES),
)


def _backend(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    broken: list[Suspect] = []
    if found.settings.backend.architecture != "devstore":
        config = configuration.config_file(found.settings, _metastores(found))
        broken += compared(found, configuration.CONFIG, {"config.yaml": config})
    overrides = configuration.overrides_file(found.settings, found.catalog)
    broken += compared(found, configuration.OVERRIDES, {"overrides.yaml": overrides})
    yield from Backstop(manifests, _BEFORE).left(broken)


def _metastores(found: Platform) -> int:
    """How many pods there are; whether that is a quorum, rule FP036 says."""
    workload = found.find("StatefulSet", BACKEND_NAMESPACE, "pyroscope-metastore")
    return int(at(workload, "spec", "replicas") or 0)


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
