"""Prometheus rules as data: budgets from the catalog, and what tells that the platform itself is not well.

Metrics of Pyroscope are those of version 2.2; those that begin with ``flameplane_`` are our own programs', listed in
docs/components.md.
"""

from collections.abc import Iterator
from typing import Any, Final

from schemas.catalog import Catalog

Rule = dict[str, Any]

MONTH: Final = 30 * 86400  # seconds
STORED_PER_RAW: Final = (
    0.05  # stored after compaction / received, Go CPU and heap, measured; the cost report calibrates it
)
SHARES: Final = ((0.8, "warning"), (1.0, "critical"))  # of a budget: alert, and what the brakes act on
_SERVICE_OF_GROUP: Final = '"service", "$1", "usage_group", "svc/(.*)"'


def groups(catalog: Catalog) -> list[dict[str, Any]]:
    """All rule groups."""
    return [
        {"name": "flameplane-budgets", "interval": "5m", "rules": list(_budgets(catalog))},
        {"name": "flameplane-cost", "interval": "1m", "rules": [*_usage(), *_over_budget(catalog)]},
        {"name": "flameplane-collection", "rules": list(_collection(catalog))},
        {"name": "flameplane-backend", "rules": list(_backend())},
        {"name": "flameplane-jobs", "rules": list(_jobs())},
        {"name": "flameplane-access", "rules": list(_access())},
    ]


def _budgets(catalog: Catalog) -> Iterator[Rule]:
    """The declared ceilings as series, so that an alert can divide by them."""
    for service in catalog.services:
        labels, budget = {"service": service.name, "team": service.team}, service.spec.budget
        yield _record("flameplane:service_budget_usd", f"vector({budget.monthly_usd:g})", labels)
        yield _record("flameplane:service_budget_stored_gb", f"vector({budget.stored_gb:g})", labels)
    for team in catalog.teams:
        yield _record("flameplane:team_budget_usd", f"vector({team.spec.monthly_usd:g})", {"team": team.name})


def _usage() -> Iterator[Rule]:
    yield _record(
        "flameplane:service_raw_bytes:rate6h",
        "sum by (service) (label_replace(rate(pyroscope_usage_group_received_decompressed_total[6h]), "
        f"{_SERVICE_OF_GROUP}))",
    )
    yield _record(
        "flameplane:stored_per_raw:ratio", f"max(flameplane_cost_stored_per_raw_ratio) or vector({STORED_PER_RAW})"
    )
    yield _record(
        "flameplane:service_stored_gb:month",
        f"flameplane:service_raw_bytes:rate6h * {MONTH} / 1e9 * scalar(flameplane:stored_per_raw:ratio)",
    )


def _over_budget(catalog: Catalog) -> Iterator[Rule]:
    platform = f"{catalog.organisation.spec.monthly_usd:g}"
    used = {
        "FlameplaneServiceStorage": (
            "flameplane:service_stored_gb:month / on (service) group_right () flameplane:service_budget_stored_gb",
            "{{ $labels.service }} is on course for {{ $value | humanizePercentage }} of its stored GB a month",
        ),
        "FlameplaneServiceCost": (
            "max by (service) (flameplane_cost_usd_month) / on (service) group_right () flameplane:service_budget_usd",
            "{{ $labels.service }} is at {{ $value | humanizePercentage }} of its budget of the month",
        ),
        "FlameplaneTeamCost": (
            "sum by (team) (flameplane_cost_usd_month) / on (team) group_right () flameplane:team_budget_usd",
            "team {{ $labels.team }} is at {{ $value | humanizePercentage }} of its budget of the month",
        ),
        "FlameplanePlatformCost": (
            f"sum(flameplane_cost_usd_month) / {platform}",
            "profiling is at {{ $value | humanizePercentage }} of the organisation's budget of the month",
        ),
    }
    for name, (expression, summary) in used.items():
        for share, severity in SHARES:
            yield _alert(f"{name}{share * 100:.0f}", f"{expression} > {share}", "1h", (severity, "cost"), summary)


def _collection(catalog: Catalog) -> Iterator[Rule]:
    for service in catalog.services:
        if service.spec.profiling.sample_rate_hz > 0:
            yield _record("flameplane:service_declared", "vector(1)", {"service": service.name, "team": service.team})
    yield _alert(
        "FlameplaneServiceSilent",
        # Health is profiles seen, not pods ready. A service without pods is not silent.
        "(flameplane:service_declared and on (service) sum by (service) (flameplane_agent_pods) > 0) "
        "unless on (service) sum by (service) (label_replace("
        f"increase(pyroscope_usage_group_received_decompressed_total[15m]), {_SERVICE_OF_GROUP})) > 0",
        "15m",
        ("warning", "collection"),
        "{{ $labels.service }} runs and is declared, but no profile of it arrived for 15 minutes",
    )
    yield _alert(
        "FlameplaneAgentDrops",
        "sum by (node, reason) (rate(flameplane_agent_dropped_samples_total[10m])) > 0",
        "10m",
        ("warning", "collection"),
        "the agent on {{ $labels.node }} drops samples ({{ $labels.reason }})",
    )
    yield _alert(
        "FlameplaneGitRefMissing",
        "sum by (service) (rate(flameplane_agent_git_ref_missing_total[30m])) > 0",
        "1h",
        ("info", "collection"),
        "pods of {{ $labels.service }} carry no git commit: the gate and blame cannot tell versions apart",
    )


def _backend() -> Iterator[Rule]:
    def backend(name: str, expression: str, wait: str, severity: str, summary: str) -> Rule:
        return _alert(name, expression, wait, (severity, "backend"), summary)

    yield backend(
        "FlameplaneMetastoreLeader",
        'count(pyroscope_metastore_raft_state{state="Leader"} == 1) != 1 '
        'or absent(pyroscope_metastore_raft_state{state="Leader"} == 1)',
        "5m",
        "critical",
        "the metastore has no leader, or more than one: nothing is stored, and it does not heal by itself",
    )
    yield backend(
        "FlameplaneMetastoreSlowDisk",
        "increase(pyroscope_metastore_raft_log_store_write_timeouts_total[10m]) > 0",
        "0m",
        "critical",
        "the metastore's disk is too slow for its log; raft is about to stop",
    )
    yield backend(
        "FlameplaneMetadataDlq",
        "sum(rate(pyroscope_segment_writer_store_metadata_dlq[15m])) > 0",
        "15m",
        "warning",
        "segments are stored but not indexed (dead letter queue)",
    )
    yield backend(
        "FlameplaneProfilesDiscarded",
        "sum by (tenant, reason) (increase(pyroscope_discarded_bytes_total[15m])) > 0",
        "5m",
        "warning",
        "tenant {{ $labels.tenant }}: profiles discarded ({{ $labels.reason }})",
    )
    yield backend(
        "FlameplaneCompactionLag",
        "histogram_quantile(0.95, sum by (le, level) "
        "(rate(pyroscope_compaction_worker_time_to_compaction_seconds_bucket[30m]))) > 14000",
        "30m",
        "warning",
        "compaction at level {{ $labels.level }} is hours behind: queries get slow, retention late",
    )
    yield backend(
        "FlameplaneTombstonesGrow",
        "sum(pyroscope_metastore_index_tombstones) > 1000 and sum(deriv(pyroscope_metastore_index_tombstones[6h])) > 0",
        "6h",
        "warning",
        "expired profiles are not being deleted: retention is declared but not carried out",
    )


def _jobs() -> Iterator[Rule]:
    lag = "time() - max by (tenant) (flameplane_downsample_merged_until_timestamp_seconds)"
    summary = "the hourly profiles of {{ $labels.tenant }} are {{ $value | humanizeDuration }} behind"
    yield _alert("FlameplaneDownsampleLag", f"{lag} > 6 * 3600", "10m", ("warning", "backend"), summary)
    yield _alert(
        "FlameplaneDownsampleLost",
        f"{lag} > 20 * 3600 or absent(flameplane_downsample_merged_until_timestamp_seconds)",
        "1h",
        ("critical", "backend"),
        f"{summary}; hours older than 24 h are lost",
    )
    yield _alert(
        "FlameplaneDriftStale",
        "time() - max(flameplane_drift_last_success_timestamp_seconds) > 3600 "
        "or absent(flameplane_drift_last_success_timestamp_seconds)",
        "15m",
        ("warning", "regression"),
        "no drift run succeeded for an hour: a changed service would go unnoticed",
    )
    yield _alert(
        "FlameplaneCostReportStale",
        "time() - max(flameplane_cost_last_success_timestamp_seconds) > 36 * 3600 "
        "or absent(flameplane_cost_last_success_timestamp_seconds)",
        "1h",
        ("warning", "cost"),
        "no cost report for a day and a half: the budget alerts stand on old figures",
    )


def _access() -> Iterator[Rule]:
    yield _alert(
        "FlameplaneAuditSink",
        "sum(rate(flameplane_gateway_audit_errors_total[5m])) > 0",
        "5m",
        ("critical", "access"),
        "audit lines cannot be stored: exports are refused until they can",
    )
    yield _alert(
        "FlameplaneReadsRefused",
        'sum by (reason) (increase(flameplane_gateway_refused_total{direction="read"}[15m])) > 50',
        "0m",
        ("warning", "access"),
        "the gateway refused {{ $value | humanize }} reads in 15 minutes ({{ $labels.reason }})",
    )


def _record(name: str, expression: str, labels: dict[str, str] | None = None) -> Rule:
    rule: Rule = {"record": name, "expr": expression}
    return rule | {"labels": labels} if labels else rule


def _alert(name: str, expression: str, wait: str, kind: tuple[str, str], summary: str) -> Rule:
    severity, layer = kind
    return {
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": severity, "layer": layer},
        "annotations": {"summary": summary},
    }
