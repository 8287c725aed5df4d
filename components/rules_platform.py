"""Alerts of the platform's own programs: jobs that lag, the gateway and its audit, guards, workloads that are down."""

from collections.abc import Iterator
from typing import Final

from components.rule_forms import Rule, alert
from schemas.allowed import ACCESS_NAMESPACE, NAMESPACES

_OURS: Final = f'namespace=~"{"|".join(sorted(NAMESPACES))}"'
# Reads as Pyroscope's front end counts them; the gateway is its only client.
_READS: Final = 'pyroscope_request_duration_seconds_count{route=~".*querierservice.*|.*pyroscope_render.*"}'


def jobs() -> Iterator[Rule]:
    """What is not merged within 24 hours is never found again: the long tier's lag comes first."""
    # Written once an hour, and seen for five minutes each time. Of a team whose profiles cannot be asked for nothing is
    # written: its last figure stands until its hours are lost, and so does that of a team that was removed.
    until = "flameplane_downsample_merged_until_timestamp_seconds"
    lag = f"time() - max by (tenant) (last_over_time({until}[26h]))"
    summary = (
        "{{ if $labels.tenant }}the hourly profiles of {{ $labels.tenant }} are {{ $value | humanizeDuration }} behind"
        "{{ else }}no run of the downsampling job says how far it is{{ end }}"
    )
    yield alert(
        "FlameplaneDownsampleLag",
        f"{lag} > 6 * 3600 or absent_over_time({until}[26h])",
        "10m",
        ("warning", "backend"),
        summary,
    )
    yield alert(
        "FlameplaneDownsampleLost",
        f"{lag} > 20 * 3600 or absent_over_time({until}[26h])",
        "1h",
        ("critical", "backend"),
        f"{summary}; hours older than 24 h are lost",
    )
    yield alert(
        "FlameplaneDownsampleUnknown",
        "max by (tenant) (last_over_time(flameplane_downsample_unknown_types[2h])) > 0",
        "2h",
        ("warning", "backend"),
        "{{ $value }} profile types of {{ $labels.tenant }} are not in its hourly profiles: nobody decided how they "
        "are merged",
    )
    yield alert(
        "FlameplaneDriftStale",
        "time() - max(last_over_time(flameplane_drift_last_success_timestamp_seconds[2h])) > 3600 "
        "or absent_over_time(flameplane_drift_last_success_timestamp_seconds[2h])",
        "15m",
        ("warning", "regression"),
        "no drift run succeeded for an hour: a changed service would go unnoticed",
    )
    yield alert(
        "FlameplaneCostReportStale",
        "time() - max(last_over_time(flameplane_cost_last_success_timestamp_seconds[72h])) > 36 * 3600 "
        "or absent_over_time(flameplane_cost_last_success_timestamp_seconds[72h])",
        "1h",
        ("warning", "cost"),
        "no cost report for a day and a half: the budget alerts stand on old figures",
    )


def access() -> Iterator[Rule]:
    """Who read what, and whether anybody tries another way."""
    yield alert(
        "FlameplaneGatewayDown",
        f'kube_deployment_status_replicas_available{{namespace="{ACCESS_NAMESPACE}",deployment="gateway"}} == 0',
        "3m",
        ("critical", "access"),
        "no gateway is ready: no profile comes in, and nobody can read any",
    )
    yield alert(
        "FlameplaneAuditSink",
        "sum(rate(flameplane_gateway_audit_errors_total[5m])) > 0",
        "5m",
        ("critical", "access"),
        "audit lines cannot be stored: exports are refused until they can",
    )
    yield alert(
        "FlameplaneAuditUploads",
        # Of lines at most once a minute after the first failures, of anchors every ten seconds.
        "sum by (what) (increase(flameplane_gateway_audit_ship_failures_total[10m])) > 3",
        "5m",
        ("critical", "access"),
        "uploads of the audit log fail ({{ $labels.what }}): lines wait on the pods' disks, and without anchors no "
        "whole profile leaves",
    )
    yield alert(
        "FlameplaneAuditLag",
        "max by (pod) (flameplane_gateway_audit_lag_seconds) > 900",
        "5m",
        ("critical", "access"),
        "audit lines of {{ $labels.pod }} have waited {{ $value | humanizeDuration }}: its disk alone has them",
    )
    yield alert(
        "FlameplaneReadsUnaudited",
        # Counters of two processes, scraped at two times: one in a hundred and a few more are no difference.
        f"sum(increase({_READS}[1h])) > 1.01 * "
        '(sum(increase(flameplane_gateway_forwarded_total{direction="read"}[1h])) or vector(0)) + 10',
        "15m",
        ("critical", "access"),
        "the backend answered {{ $value | humanize }} reads in an hour, more than the gateway let through",
    )
    yield alert(
        "FlameplaneReadsRefused",
        'sum by (reason) (increase(flameplane_gateway_refused_total{direction="read"}[15m])) > 50',
        "0m",
        ("warning", "access"),
        "the gateway refused {{ $value | humanize }} reads in 15 minutes ({{ $labels.reason }})",
    )
    yield alert(
        "FlameplaneWritesRefused",
        'sum by (reason) (increase(flameplane_gateway_refused_total{direction="write"}[15m])) > 50',
        "5m",
        ("warning", "access"),
        "the gateway refused {{ $value | humanize }} pushes in 15 minutes ({{ $labels.reason }})",
    )
    yield alert(
        "FlameplaneGuardDenied",
        # The API server counts what its admission policies refuse; it does not say who asked.
        "sum by (policy) (increase(apiserver_validating_admission_policy_check_total{"
        'policy=~"flameplane-.+",enforcement_action="deny"}[10m])) > 0',
        "0m",
        ("warning", "access"),
        "admission policy {{ $labels.policy }} refused something: an attempt to get past the gateway, or a mistake",
    )
    yield alert(
        "FlameplaneNetworkOpen",
        "min by (direction) (flameplane_network_policies_enforced) == 0",
        "5m",
        ("critical", "access"),
        "the cluster does not enforce NetworkPolicies ({{ $labels.direction }}): any pod may try to reach the backend",
    )
    yield alert(
        "FlameplaneNetworkUnknown",
        "time() - max(flameplane_network_probe_last_verdict_timestamp_seconds) > 900 "
        "or absent(flameplane_network_probe_last_verdict_timestamp_seconds)",
        "15m",
        ("warning", "access"),
        "nobody knows whether the cluster enforces NetworkPolicies",
    )
    yield alert(
        "FlameplaneBackendCertificate",
        "min(flameplane_gateway_backend_certificate_expiry_timestamp_seconds) - time() < 7 * 86400",
        "1h",
        ("critical", "access"),
        "the certificate between gateway and backend ends in {{ $value | humanizeDuration }}; then nothing is read "
        "or stored",
    )


def workloads() -> Iterator[Rule]:
    """From kube-state-metrics: what runs with fewer replicas than declared."""
    yield alert(
        "FlameplaneWorkloadDegraded",
        f"kube_deployment_status_replicas_available{{{_OURS}}} < kube_deployment_spec_replicas{{{_OURS}}} or "
        f"label_replace(kube_statefulset_status_replicas_ready{{{_OURS}}} < kube_statefulset_replicas{{{_OURS}}}, "
        '"deployment", "$1", "statefulset", "(.+)")',
        "15m",
        ("warning", "foundation"),
        "{{ $labels.deployment }} in {{ $labels.namespace }} has {{ $value }} replicas ready, fewer than declared",
    )
