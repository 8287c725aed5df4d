"""Alerts of Pyroscope, which ships none. Metrics are those of version 2.2, with its source's names.

Limit: one platform per Prometheus. Two of them would add up, and each would hide that the other's metastore has no
leader.
"""

from collections.abc import Iterator
from typing import Final

from components.rule_forms import Rule, alert
from schemas.allowed import BACKEND_NAMESPACE

# Reasons that a brake of ours causes on purpose; FlameplaneIngestBraked tells those.
_BRAKES: Final = "ingest_limit_reached|dropped_by_sampling_rules"
# Level -> seconds from a block's creation to its compaction that are no longer normal, with the wait of that level
# (36 s, 12 min, 3 h: pyroscope `metastore.levels`) several times over. The last one is below the histogram's largest
# bucket, 14,400 s.
_LAG: Final = {"0": 600, "1": 3600, "2": 14_000}
_RAFT: Final = 'pyroscope_metastore_raft_state{state="Leader"} == 1'
# Until #5543 its registry adds the prefix twice.
_DLQ_RECOVERY: Final = '{__name__=~"pyroscope_metastore_(pyroscope_metastore_)?dlq_recovery_attempts_total"'


def backend() -> Iterator[Rule]:
    """The index first: without it every block in object storage is lost."""
    yield _backend(
        "FlameplaneMetastoreLeader",
        f"count({_RAFT}) != 1 or absent({_RAFT})",
        "5m",
        "critical",
        "the metastore has no leader, or more than one: nothing is stored, and it does not heal by itself",
    )
    yield _backend(
        "FlameplaneMetastoreSlowDisk",
        "increase(pyroscope_metastore_raft_log_store_write_timeouts_total[10m]) > 0",
        "0m",
        "critical",
        "the metastore's disk is too slow for its log; raft is about to stop",
    )
    yield _backend(
        "FlameplaneMetastoreVolume",
        f'kubelet_volume_stats_available_bytes{{namespace="{BACKEND_NAMESPACE}"}} / '
        f'kubelet_volume_stats_capacity_bytes{{namespace="{BACKEND_NAMESPACE}"}} < 0.15',
        "15m",
        "critical",
        "{{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left; full, the index stops",
    )
    yield _backend(
        "FlameplaneMetadataDlq",
        "sum(rate(pyroscope_segment_writer_store_metadata_dlq[15m])) > 0",
        "15m",
        "warning",
        "segments are stored but not indexed (dead letter queue)",
    )
    yield _backend(
        "FlameplaneMetadataLost",
        'sum(increase(pyroscope_segment_writer_store_metadata_dlq{status!="success"}[15m])) > 0',
        "0m",
        "critical",
        "segments could not even be put into the dead letter queue: their profiles are lost",
    )
    yield _backend(
        "FlameplaneDlqRecovery",
        f'sum by (status) (increase({_DLQ_RECOVERY},status=~".+_error|invalid_metadata"}}[1h])) > 0',
        "1h",
        "warning",
        "segments in the dead letter queue cannot be indexed ({{ $labels.status }}); they expire after 30 days",
    )
    yield from _discarded()
    yield from _compaction()
    yield from _requests()


def _discarded() -> Iterator[Rule]:
    yield _backend(
        "FlameplaneProfilesDiscarded",
        f'sum by (tenant, reason) (increase(pyroscope_discarded_bytes_total{{reason!~"{_BRAKES}"}}[15m])) > 0',
        "5m",
        "warning",
        "tenant {{ $labels.tenant }}: profiles discarded ({{ $labels.reason }})",
    )
    yield _backend(
        "FlameplaneIngestBraked",
        f'sum by (tenant, reason) (increase(pyroscope_discarded_bytes_total{{reason=~"{_BRAKES}"}}[15m])) > 0',
        "15m",
        "info",
        "tenant {{ $labels.tenant }}: a brake holds profiles back ({{ $labels.reason }})",
    )


def _compaction() -> Iterator[Rule]:
    for level, seconds in _LAG.items():
        yield _backend(
            f"FlameplaneCompactionLag{level}",
            "histogram_quantile(0.95, sum by (le, level) (rate("
            f'pyroscope_compaction_worker_time_to_compaction_seconds_bucket{{level="{level}"}}[30m]))) > {seconds}',
            "30m",
            "warning",
            f"compaction at level {level} is "
            "{{ $value | humanizeDuration }} behind: queries get slow, retention late",
        )
    yield _backend(
        "FlameplaneCompactionStopped",
        # What was never done leaves no figure of how long it took.
        "sum(rate(pyroscope_distributor_received_decompressed_bytes_total_sum[30m])) > 0 unless "
        'sum(rate(pyroscope_compaction_worker_jobs_completed_total{status="success"}[30m])) > 0',
        "30m",
        "critical",
        "profiles come in and nothing is compacted: in eight days the first of them are deleted unread",
    )
    yield _backend(
        "FlameplaneTombstonesGrow",
        # Every replica of the metastore counts all of them.
        "max(sum by (instance) (pyroscope_metastore_index_tombstones)) > 1000 and "
        "max(sum by (instance) (deriv(pyroscope_metastore_index_tombstones[6h]))) > 0",
        "6h",
        "warning",
        "expired profiles are not being deleted: retention is declared but not carried out",
    )


def _requests() -> Iterator[Rule]:
    yield _backend(
        "FlameplaneObjectStorageErrors",
        "sum by (operation) (rate(objstore_bucket_operation_failures_total[10m])) / "
        "sum by (operation) (rate(objstore_bucket_operations_total[10m])) > 0.01",
        "10m",
        "critical",
        "{{ $value | humanizePercentage }} of {{ $labels.operation }} requests to object storage fail",
    )
    yield _backend(
        "FlameplaneBackendErrors",
        'sum by (route) (rate(pyroscope_request_duration_seconds_count{status_code=~"5..|error"}[10m])) / '
        "sum by (route) (rate(pyroscope_request_duration_seconds_count[10m])) > 0.05",
        "15m",
        "warning",
        "{{ $value | humanizePercentage }} of requests to {{ $labels.route }} fail",
    )


def _backend(name: str, expression: str, wait: str, severity: str, summary: str) -> Rule:
    return alert(name, expression, wait, (severity, "backend"), summary)
