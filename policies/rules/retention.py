"""Retention: what the backend will really do, not only what was declared."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from policies.declared import LONGTERM, Declared, Document, read
from policies.objects import WORKLOADS, at, breaks
from policies.pyroscope import DEFAULT_RETENTION, ConfigFile, config_files, days, flags, override_files, retention
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import ERASED_HOURS, LONGEST_KEPT_DAYS, RETENTION_DAYS

SHORTEST, LONGEST = RETENTION_DAYS
FINE: Final = "spec.retention.fineDays"
DOWNSAMPLED: Final = "spec.retention.downsampledDays"
VALID: Final = f"{SHORTEST}d to {LONGEST_KEPT_DAYS}d"
FLAGS: Final = ("retention-period", "cleanup-interval")


def _retention(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    for team in declared.teams.values():
        yield from _declared_days(team, declared)
    configs = list(config_files(manifests))
    for file in configs:
        if not _in_range(default := retention(file)):
            yield breaks(file.manifest, f"keeps tenants without overrides for {default}; valid: {VALID}")
        cleanup = at(file.body, "metastore", "index", "cleanup_interval")
        if not days(str(cleanup)):
            yield breaks(
                file.manifest,
                f"has metastore.index.cleanup_interval {_shown(cleanup)} in {file.key}: retention would be declared "
                "and never carried out; set a duration above 0",
            )
    for file in override_files(manifests):
        yield from _tenants(file, retention(configs[0]) if configs else DEFAULT_RETENTION, declared)
    for container, flag, value in flags(manifests):
        if flag.endswith(FLAGS):
            yield container.breaks(f"has the flag -{flag}={value}, which beats the configuration files")


def _declared_days(team: Document, declared: Declared) -> Iterator[Violation]:
    floor = max(SHORTEST, declared.limit("minFineDays") or SHORTEST)
    ceiling = min(LONGEST, declared.limit("maxDownsampledDays") or LONGEST)
    for path in (FINE, DOWNSAMPLED):
        value = team.get(path)
        if value is None or not floor <= value <= ceiling:
            message = f"team {team.name} keeps profiles for {_shown(value)} days ({path}); valid: {floor} to {ceiling}"
            yield Violation(message, team.manifest, team.declared(path))


def _tenants(file: ConfigFile, default: str, declared: Declared) -> Iterator[Violation]:
    """The overrides do what the team declared; what it declared has been judged above."""
    for tenant, limits in (file.body.get("overrides") or {}).items():
        effective = str((limits or {}).get("retention_period") or default)
        fine = declared.teams.get(tenant)
        team = fine or declared.teams.get(tenant.removesuffix(LONGTERM))
        path = FINE if fine else DOWNSAMPLED
        erased = bool(team and team.get("spec.erase"))
        if team and erased and days(effective) != ERASED_HOURS / 24:
            how = f"keeps tenant {tenant} for {effective}; the team is being erased: {ERASED_HOURS}h"
            yield breaks(file.manifest, how, team.declared("spec.erase"))
        elif team and not erased and days(effective) != kept(team.get(path)):
            how = f"keeps tenant {tenant} for {effective}; declared are {_shown(team.get(path))} days"
            if (team.get(path) or 0) > LONGEST_KEPT_DAYS:
                how += f", which is {LONGEST_KEPT_DAYS}d and the time that deletion takes"
            yield breaks(file.manifest, how, team.declared(path))
        elif not team and not _in_range(effective):
            yield breaks(file.manifest, f"keeps tenant {tenant} for {effective}; valid: {VALID}")


def kept(declared: Any) -> Any:
    """Days that the backend has to be told for days that a team declares: those at the end are for being deleted."""
    return min(declared, LONGEST_KEPT_DAYS) if isinstance(declared, int | float) else declared


def _in_range(duration: str) -> bool:
    found = days(duration)
    return found is not None and SHORTEST <= found <= LONGEST_KEPT_DAYS


def _shown(value: Any) -> Any:
    return "not set" if value is None else value


RULES = (
    Rule(
        id="FP004",
        name="retention",
        why="The platform promises never less than 30 and never more than 90 days, deletion included. Pyroscope's "
        "default is another, 0 means for ever, it deletes late, and some versions delete nothing unless told to.",
        remediation="Declare `spec.retention` in `_team.yaml` (30 to 90 days); the overrides of both tenants of the "
        f"team follow from it, at most {LONGEST_KEPT_DAYS} days. Retention is per team because Pyroscope keeps it per "
        "tenant.",
        kinds=("ConfigMap", *WORKLOADS),
        check=_retention,
        scope="stack",
    ),
)
