"""Pyroscope's two configuration files: the process's own, and the limits per tenant, reloaded while it runs."""

from typing import Any, Final

from components.text import as_yaml
from schemas.catalog import Catalog
from schemas.settings import ObjectStorage
from schemas.team import Team

HTTP_PORT: Final = 4040
GRPC_PORT: Final = 9095
ADMIN_PORT: Final = 4042
DATA: Final = "/data"  # the metastore's state: without it every block in object storage is orphaned
SCRATCH: Final = "/scratch"
OVERRIDES: Final = "/etc/pyroscope/overrides/overrides.yaml"
LONGTERM: Final = "-longterm"  # suffix of the tenant that holds a team's hourly profiles

MB_PER_POD: Final = 0.0051  # MB/s of uncompressed CPU and heap profiles of a busy Go pod at 99 Hz, measured
PODS_PER_SERVICE: Final = 50  # what a service may scale to before its team's rate limit drops profiles


def process_config(storage: ObjectStorage) -> str:
    """config.yaml. Values in ``${}`` come from the Secret, through ``-config.expand-env``."""
    s3: dict[str, Any] = {"endpoint": storage.endpoint, "region": storage.region, "bucket_name": storage.bucket}
    if storage.credentials_secret:
        s3 |= {"access_key_id": "${S3_ACCESS_KEY}", "secret_access_key": "${S3_SECRET_KEY}"}
    else:
        s3 |= {"native_aws_auth_enabled": True}
    if storage.kind == "seaweedfs":
        s3 |= {"insecure": True, "bucket_lookup_type": "path-style"}
    return _yaml(
        {
            "target": "all",
            "architecture_storage": "v2",  # the binary's default still writes version 1 as well
            "multitenancy_enabled": True,
            "analytics": {"reporting_enabled": False},  # on by default: reports to the vendor
            "self_profiling": {"disable_push": True},
            "show_banner": False,
            "server": {
                "http_listen_port": HTTP_PORT,
                "grpc_listen_port": GRPC_PORT,
                # Merged profiles of an hour are larger than the 4 MiB default.
                "grpc_server_max_recv_msg_size": 64 << 20,
                "grpc_server_max_send_msg_size": 64 << 20,
            },
            # /ops reads any tenant's raw profiles without a tenant header: it leaves the port that the gateway uses.
            "admin_server": {"mode": "exclusive", "http_listen_address": "0.0.0.0", "http_listen_port": ADMIN_PORT},  # noqa: S104
            "metastore": {
                "data_dir": f"{DATA}/data",
                "raft": {"dir": f"{DATA}/raft", "snapshots_dir": f"{DATA}/raft"},
                "index": {"cleanup_interval": "1m"},  # 0 in 2.0 and 2.1: retention would be declared and never enforced
            },
            "segment_writer": {
                # Every segment is a PUT: 2 s instead of 0.5 s and one token instead of four cut the request bill by 16.
                "segment_duration": "2s",
                "lifecycler": {"num_tokens": 1},
            },
            "compaction_worker": {"temp_dir": SCRATCH},
            "storage": {"backend": "s3", "s3": s3},
            "runtime_config": {"file": OVERRIDES, "period": "10s"},
            # A tenant that no team owns: nothing is kept longer than the promise, and nothing is read further back.
            "limits": {
                "retention_period": "30d",
                "max_query_lookback": "30d",
                "max_query_length": "1d",
                # It would ask a public server, and build ids would leave the organisation.
                "symbolizer": {"enabled": False},
            },
        }
    )


def overrides(catalog: Catalog) -> str:
    """Limits per tenant: two for each team, its fine profiles and its hourly ones."""
    tenants: dict[str, Any] = {}
    for team in catalog.teams:
        tenants[team.name] = _fine(team, len(catalog.of_team(team.name)))
        tenants[f"{team.name}{LONGTERM}"] = _longterm(team)
    return _yaml({"overrides": tenants})


# Bytes per service in Pyroscope's own metrics; costs and 'declared but silent' are computed from them.
_PER_SERVICE: Final = {"svc/${labels.service_name}": '{service_name=~".+"}'}


def _fine(team: Team, services: int) -> dict[str, Any]:
    days = team.spec.retention.fine_days
    rate = max(4.0, round(services * PODS_PER_SERVICE * MB_PER_POD, 1))
    return {
        "retention_period": f"{days * 24}h",
        "max_query_lookback": f"{days * 24}h",
        # Same hour 14 days ago is one query of an hour; a day is the longest that a person reads at once.
        "max_query_length": "24h",
        "ingestion_rate_mb": rate,
        "ingestion_burst_size_mb": max(16.0, rate * 2),  # the default of 2 is below one profile of 4 MB
        "reject_older_than": "1h",
        "reject_newer_than": "10m",
        "distributor_usage_groups": _PER_SERVICE,
    }


def _longterm(team: Team) -> dict[str, Any]:
    days = team.spec.retention.downsampled_days
    return {
        "retention_period": f"{days * 24}h",
        "max_query_lookback": f"{days * 24}h",
        "max_query_length": f"{days * 24}h",
        "ingestion_rate_mb": 16.0,
        "ingestion_burst_size_mb": 64.0,
        "max_profile_size_bytes": 32 << 20,
        "max_profile_stacktrace_samples": 200_000,
        # The merge job writes the closed hour; what is older than 24 h would be stored and never found.
        "reject_older_than": "24h",
        "reject_newer_than": "10m",
    }


def _yaml(document: dict[str, Any]) -> str:
    return as_yaml(document)
