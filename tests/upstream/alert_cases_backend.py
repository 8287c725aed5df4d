"""Cases of the alerts on Pyroscope; series have the names and labels of its source (2.2)."""

from alert_case import Case

NO_LEADER = "the metastore has no leader, or more than one: nothing is stored, and it does not heal by itself"
DISCARDED = 'pyroscope_discarded_bytes_total{{tenant="payments",reason="{}"}}'
VOLUME = '{namespace="flameplane-backend",persistentvolumeclaim="data-0"}'
DLQ = 'pyroscope_segment_writer_store_metadata_dlq{{status="{}"}}'
RECEIVED = 'pyroscope_distributor_received_decompressed_bytes_total_sum{tenant="payments",stage="received"}'
COMPACTED = 'pyroscope_compaction_worker_jobs_completed_total{{tenant="payments",level="0",status="{}"}}'
TOMBSTONES = 'pyroscope_metastore_index_tombstones{{instance="{}",tenant="payments",type="blocks"}}'
ROUTE = "querier_v1_querierservice_selectmergestacktraces"
READS = f'pyroscope_request_duration_seconds_count{{{{method="POST",route="{ROUTE}",status_code="{{}}"}}}}'


def leader(instance: str) -> str:
    return f'pyroscope_metastore_raft_state{{state="Leader",instance="{instance}"}}'


def bucket(level: str, le: str) -> str:
    return f'pyroscope_compaction_worker_time_to_compaction_seconds_bucket{{tenant="t",level="{level}",le="{le}"}}'


CASES: dict[str, Case] = {
    "no leader": ({leader("a"): "0x30"}, "FlameplaneMetastoreLeader", 20, ({}, NO_LEADER)),
    "no backend": ({}, "FlameplaneMetastoreLeader", 20, ({}, NO_LEADER)),
    "one leader": ({leader("a"): "1x30", leader("b"): "0x30"}, "FlameplaneMetastoreLeader", 20, None),
    "two leaders": ({leader("a"): "1x30", leader("b"): "1x30"}, "FlameplaneMetastoreLeader", 20, ({}, NO_LEADER)),
    "discarded": (
        {'pyroscope_discarded_bytes_total{tenant="payments",reason="rate_limited"}': "0+5x30"},
        "FlameplaneProfilesDiscarded",
        25,
        ({"tenant": "payments", "reason": "rate_limited"}, "tenant payments: profiles discarded (rate_limited)"),
    ),
    "discarded by the brake": (
        {DISCARDED.format("ingest_limit_reached"): "0+5x60"},
        "FlameplaneIngestBraked",
        40,
        (
            {"tenant": "payments", "reason": "ingest_limit_reached"},
            "tenant payments: a brake holds profiles back (ingest_limit_reached)",
        ),
    ),
    "the brake is no fault": (
        {DISCARDED.format("ingest_limit_reached"): "0+5x60"},
        "FlameplaneProfilesDiscarded",
        40,
        None,
    ),
    "a fault is no brake": ({DISCARDED.format("rate_limited"): "0+5x60"}, "FlameplaneIngestBraked", 40, None),
    "a write to the log timed out": (
        {'pyroscope_metastore_raft_log_store_write_timeouts_total{instance="a"}': "0x5 1x30"},
        "FlameplaneMetastoreSlowDisk",
        8,
        ({"instance": "a"}, "the metastore's disk is too slow for its log; raft is about to stop"),
    ),
    "no write timed out": (
        {'pyroscope_metastore_raft_log_store_write_timeouts_total{instance="a"}': "1x30"},
        "FlameplaneMetastoreSlowDisk",
        25,
        None,
    ),
    "the index's volume at 10 %": (
        {
            f"kubelet_volume_stats_available_bytes{VOLUME}": "1x30",
            f"kubelet_volume_stats_capacity_bytes{VOLUME}": "10x30",
        },
        "FlameplaneMetastoreVolume",
        20,
        (
            {"namespace": "flameplane-backend", "persistentvolumeclaim": "data-0"},
            "data-0 has 10% left; full, the index stops",
        ),
    ),
    "the index's volume at 50 %": (
        {
            f"kubelet_volume_stats_available_bytes{VOLUME}": "5x30",
            f"kubelet_volume_stats_capacity_bytes{VOLUME}": "10x30",
        },
        "FlameplaneMetastoreVolume",
        20,
        None,
    ),
    "segments in the queue": (
        {DLQ.format("success"): "0+1x60"},
        "FlameplaneMetadataDlq",
        40,
        ({}, "segments are stored but not indexed (dead letter queue)"),
    ),
    "none in the queue": ({DLQ.format("success"): "0x60"}, "FlameplaneMetadataDlq", 40, None),
    "not even in the queue": (
        {DLQ.format("error"): "0x5 1x30"},
        "FlameplaneMetadataLost",
        10,
        ({}, "segments could not even be put into the dead letter queue: their profiles are lost"),
    ),
    "in the queue is not lost": ({DLQ.format("success"): "0+1x60"}, "FlameplaneMetadataLost", 40, None),
    "the queue cannot be read": (
        {'pyroscope_metastore_pyroscope_metastore_dlq_recovery_attempts_total{status="read_error"}': "0+1x200"},
        "FlameplaneDlqRecovery",
        150,
        (
            {"status": "read_error"},
            "segments in the dead letter queue cannot be indexed (read_error); they expire after 30 days",
        ),
    ),
    "the queue cannot be indexed": (
        {'pyroscope_metastore_dlq_recovery_attempts_total{status="metastore_error"}': "0+1x200"},
        "FlameplaneDlqRecovery",
        150,
        (
            {"status": "metastore_error"},
            "segments in the dead letter queue cannot be indexed (metastore_error); they expire after 30 days",
        ),
    ),
    "the queue is worked off": (
        {
            'pyroscope_metastore_pyroscope_metastore_dlq_recovery_attempts_total{status="success"}': "0+1x200",
            'pyroscope_metastore_dlq_recovery_attempts_total{status="leadership_change"}': "0+1x200",
        },
        "FlameplaneDlqRecovery",
        150,
        None,
    ),
    **{
        f"compaction lags at level {level}": (
            {bucket(level, "7"): "0x90", bucket(level, "14400"): "0+9x90", bucket(level, "+Inf"): "0+10x90"},
            f"FlameplaneCompactionLag{level}",
            80,
            ({"level": level}, f"compaction at level {level} is 4h 0m 0s behind: queries get slow, retention late"),
        )
        for level in ("0", "1", "2")
    },
    **{
        f"compaction is prompt at level {level}": (
            {bucket(level, "7"): "0+10x90", bucket(level, "14400"): "0+10x90", bucket(level, "+Inf"): "0+10x90"},
            f"FlameplaneCompactionLag{level}",
            80,
            None,
        )
        for level in ("0", "1", "2")
    },
    "nothing is compacted": (
        {RECEIVED: "0+1000x90", COMPACTED.format("failure"): "0+5x90"},
        "FlameplaneCompactionStopped",
        80,
        ({}, "profiles come in and nothing is compacted: in eight days the first of them are deleted unread"),
    ),
    "it is compacted": (
        {RECEIVED: "0+1000x90", COMPACTED.format("success"): "0+5x90"},
        "FlameplaneCompactionStopped",
        80,
        None,
    ),
    "nothing comes in": ({RECEIVED: "0x90"}, "FlameplaneCompactionStopped", 80, None),
    "tombstones grow": (
        {TOMBSTONES.format("a"): "900+1x900", TOMBSTONES.format("b"): "900+1x900"},
        "FlameplaneTombstonesGrow",
        880,
        ({}, "expired profiles are not being deleted: retention is declared but not carried out"),
    ),
    "tombstones shrink": ({TOMBSTONES.format("a"): "9000-1x900"}, "FlameplaneTombstonesGrow", 880, None),
    "three replicas count the same few": (
        {TOMBSTONES.format(r): "400+0.1x900" for r in "abc"},
        "FlameplaneTombstonesGrow",
        880,
        None,
    ),
    "uploads fail": (
        {
            'objstore_bucket_operation_failures_total{bucket="b",operation="upload"}': "0+1x40",
            'objstore_bucket_operations_total{bucket="b",operation="upload"}': "0+20x40",
        },
        "FlameplaneObjectStorageErrors",
        30,
        ({"operation": "upload"}, "5% of upload requests to object storage fail"),
    ),
    "one in a thousand uploads fails": (
        {
            'objstore_bucket_operation_failures_total{bucket="b",operation="upload"}': "0+1x40",
            'objstore_bucket_operations_total{bucket="b",operation="upload"}': "0+1000x40",
        },
        "FlameplaneObjectStorageErrors",
        30,
        None,
    ),
    "queries fail": (
        {READS.format("500"): "0+1x60", READS.format("200"): "0+9x60"},
        "FlameplaneBackendErrors",
        40,
        ({"route": ROUTE}, f"10% of requests to {ROUTE} fail"),
    ),
    "clients err": (
        {READS.format("400"): "0+5x60", READS.format("200"): "0+5x60"},
        "FlameplaneBackendErrors",
        40,
        None,
    ),
}
