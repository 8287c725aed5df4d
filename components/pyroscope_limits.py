"""Pyroscope's limits per tenant (overrides.yaml), reloaded while it runs: retention, rates, labels that are kept."""

from typing import Any, Final

from components.pyroscope_sizing import team_rate_mb
from components.text import as_yaml
from schemas.allowed import ERASED_HOURS, LONGEST_KEPT_DAYS, PROFILE_LABELS, RETENTION_DAYS
from schemas.catalog import Catalog
from schemas.settings.backend import Backend
from schemas.team import Team

LONGTERM: Final = "-longterm"  # suffix of the tenant that holds a team's hourly profiles

# Bytes per service in Pyroscope's own metrics; costs and 'declared but silent' are computed from them.
_PER_SERVICE: Final = {"svc/${labels.service_name}": '{service_name=~".+"}'}
# Labels that Pyroscope itself needs (`pkg/model/labels.go`); they are part of the set that the rules see.
_INTERNAL: Final = (
    *("name", "type", "unit", "period_type", "period_unit", "profile_type", "delta", "session_id"),
    *("service_name", "otel", "order", "sampled", "name_replaced"),
)
# Version 2 has no limit of series: what is not on the list goes. The rules see sample labels too, which applications
# set themselves; of these only span_id and trace_id are kept apart, per sample (`pkg/model/pprofsplit`).
_KEPT: Final = f"__({'|'.join(_INTERNAL)})__|{'|'.join(PROFILE_LABELS)}"
_LABELS: Final = {
    "ingestion_relabeling_rules": [
        # Every tracing bridge sets it, and each value would be a series of its own.
        {"action": "labeldrop", "regex": "span_name"},
        {"action": "labelkeep", "regex": _KEPT},
    ],
    "max_label_names_per_series": 30,
    "max_label_value_length": 512,
}


def overrides(catalog: Catalog, backend: Backend) -> str:
    """Limits per tenant: two for each team, its fine profiles and its hourly ones."""
    tenants: dict[str, Any] = {}
    for team in catalog.teams:
        tenants[team.name] = _fine(team, team_rate_mb(len(catalog.of_team(team.name)), backend))
        tenants[f"{team.name}{LONGTERM}"] = _longterm(team)
    return as_yaml({"overrides": tenants})


def _fine(team: Team, rate: float) -> dict[str, Any]:
    return {
        **_kept(team, team.spec.retention.fine_days),
        # Same hour 14 days ago is one query of an hour; a day is the longest that a person reads at once.
        "max_query_length": "24h",
        "ingestion_rate_mb": rate,
        "ingestion_burst_size_mb": max(16.0, rate * 2),  # the default of 2 is below one profile of 4 MB
        "reject_older_than": "1h",
        "reject_newer_than": "10m",
        "distributor_usage_groups": _PER_SERVICE,
        **_LABELS,
    }


def _longterm(team: Team) -> dict[str, Any]:
    days = team.spec.retention.downsampled_days
    return {
        **_kept(team, days),
        "max_query_length": f"{days * 24}h",
        "ingestion_rate_mb": 16.0,
        "ingestion_burst_size_mb": 64.0,
        "max_profile_size_bytes": 32 << 20,
        "max_profile_stacktrace_samples": 200_000,
        # The merge job writes the closed hour; what is older than 24 h would be stored and never found.
        "reject_older_than": "24h",
        "reject_newer_than": "10m",
        **_LABELS,
    }


def _kept(team: Team, days: int) -> dict[str, str]:
    """What is past its time is not read any more either, though it is not deleted yet. What is being erased is: by
    whoever proves that it is gone, as far back as anything may have been kept before."""
    if team.spec.erase:
        return {"retention_period": f"{ERASED_HOURS}h", "max_query_lookback": f"{(RETENTION_DAYS[1] + 1) * 24}h"}
    hours = min(days, LONGEST_KEPT_DAYS) * 24
    return {"retention_period": f"{hours}h", "max_query_lookback": f"{hours}h"}
