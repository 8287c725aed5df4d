"""Pyroscope's configuration and its limits per tenant as they were reviewed (docs/backend.md says why, line by line).

A key that is not here has Pyroscope's default, and may not be set: some of its defaults are the safe ones. Written
apart from components/pyroscope_config.py and pyroscope_limits.py on purpose: an edit there alone is then noticed.
"""

from typing import Any, Final

from schemas.allowed import BACKEND_NAMESPACE, LONGEST_KEPT_DAYS, PROFILE_LABELS
from schemas.catalog import Catalog
from schemas.reviewed.forms import OneOf, Range, Text
from schemas.settings import Settings
from schemas.settings.backend import Backend, ObjectStorage

CONFIG: Final = (BACKEND_NAMESPACE, "pyroscope-config")
OVERRIDES: Final = (BACKEND_NAMESPACE, "pyroscope-overrides")
LONGTERM: Final = "-longterm"
METASTORES: Final = (3, 5)  # a majority outlives one, or two
_FOLDER: Final = "/etc/pyroscope/tls"
_LOOPBACK: Final = "127.0.0.1"
_HEADLESS: Final = f"pyroscope-metastore-headless.{BACKEND_NAMESPACE}.svc"
_VERSION: Final = OneOf(("VersionTLS13", "VersionTLS12"))
# MB/s of one pod, uncompressed, and how often a team may send that much: docs/backend.md.
_MB_PER_POD: Final = 0.0051
_HEADROOM: Final = 5.0
_LEAST_MB: Final = 4.0  # Pyroscope's own default
_MOST: Final = 4.0  # times what the team needs: beyond, one team's mistake is everybody's outage
# Labels that Pyroscope makes and needs itself (`pkg/model/labels.go`).
_INTERNAL: Final = (
    *("name", "type", "unit", "period_type", "period_unit", "profile_type", "delta", "session_id"),
    *("service_name", "otel", "order", "sampled", "name_replaced"),
)
# v2 has no limit of series: what is not on the list goes, and it may hold what applications know about people.
LABELS: Final = {
    "ingestion_relabeling_rules": [
        {"action": "labeldrop", "regex": "span_name"},
        {"action": "labelkeep", "regex": f"__({'|'.join(_INTERNAL)})__|{'|'.join(PROFILE_LABELS)}"},
    ],
    "max_label_names_per_series": Range(15, 30),
    "max_label_value_length": Range(64, 512),
}


def config_file(settings: Settings, metastores: int) -> dict[str, Any]:
    """config.yaml. ``metastores``: how many pods are declared, which is rule FP036's to judge."""
    backend = settings.backend
    wanted = {
        "architecture_storage": "v2",
        "multitenancy_enabled": True,
        "analytics": {"reporting_enabled": False},
        "self_profiling": {"disable_push": True},
        "show_banner": False,
        "admin_server": {"mode": "exclusive", "http_listen_address": "0.0.0.0", "http_listen_port": 4042},  # noqa: S104
        "compaction_worker": {"temp_dir": "/scratch"},
        "storage": {"backend": "s3", "s3": _s3(backend.object_storage)},
        "runtime_config": {"file": "/etc/pyroscope/overrides/overrides.yaml", "period": "10s"},
        "limits": {
            "retention_period": "30d",
            "max_query_lookback": "30d",
            "max_query_length": "1d",
            "symbolizer": {"enabled": False},
        },
        # Its default is a public server, which would learn of every build.
        "symbolizer": {
            "debuginfod_url": Text(
                r"|https?://[a-z0-9.-]+\.(svc|svc\.cluster\.local|internal|local)(:[0-9]+)?(/.*)?",
                "empty or a server inside",
            )
        },
    }
    return wanted | (_split(backend, metastores) if backend.architecture == "microservices" else _process(backend))


def _process(backend: Backend) -> dict[str, Any]:
    """All parts in one process: what asks nobody who he is stays on loopback."""
    server = _server(backend, grpc=False) | {"grpc_listen_address": _LOOPBACK}
    return {
        "target": "all",
        "server": server,
        "metastore": _metastore(),
        "segment_writer": _writer(backend, _LOOPBACK),
        "memberlist": {"bind_addr": [_LOOPBACK], "advertise_addr": _LOOPBACK},
        **_rings(_LOOPBACK),
    }


def _split(backend: Backend, metastores: int) -> dict[str, Any]:
    """Microservices: peers by names known beforehand, and a certificate on every call."""
    count = metastores if metastores in METASTORES else METASTORES[0]
    names = [f"pyroscope-metastore-{n}.{_HEADLESS}" for n in range(count)]
    peer, own, metastore = _peer(backend), f"${{POD_NAME}}.{_HEADLESS}:9099", _metastore()
    metastore |= {
        "address": ",".join(f"{name}:9095" for name in names),
        "grpc_client_config": peer,
        "snapshot_compact_on_restore": True,
    }
    metastore["raft"] |= {
        "bootstrap_peers": [f"{name}:9099/{name}:9099" for name in names],
        "bootstrap_expect_peers": count,
        "server_id": own,
        "advertise_address": own,
        "bind_address": ":9099",
    }
    return {
        "shutdown_delay": "10s",
        "server": _server(backend, grpc=True),
        "metastore": metastore,
        "segment_writer": _writer(backend, "${POD_IP}") | {"grpc_client_config": peer},
        "query_backend": {
            "address": f"dns:///pyroscope-query-backend-headless.{BACKEND_NAMESPACE}.svc:9095",
            "grpc_client_config": peer,
        },
        "memberlist": {
            "cluster_label": "flameplane-pyroscope",
            "join_members": [f"dns+pyroscope-gossip.{BACKEND_NAMESPACE}.svc:7946"],
            "advertise_addr": "${POD_IP}",
        },
        **_rings("${POD_IP}"),
    }


def _metastore() -> dict[str, Any]:
    """On the claim; and cleaned up, without which retention is declared and never carried out."""
    raft = {"dir": "/data/raft", "snapshots_dir": "/data/raft"}
    return {"data_dir": "/data/data", "raft": raft, "index": {"cleanup_interval": "1m"}}


def _writer(backend: Backend, address: str) -> dict[str, Any]:
    lifecycler = {"num_tokens": backend.writes.tokens, "address": address}
    return {"segment_duration": backend.writes.segment_duration, "lifecycler": lifecycler}


def _rings(address: str) -> dict[str, Any]:
    ring = {"ring": {"instance_addr": address}}
    return {"distributor": ring, "overrides_exporter": ring, "frontend": {"address": address}}


def _server(backend: Backend, *, grpc: bool) -> dict[str, Any]:
    server: dict[str, Any] = {"http_listen_port": 4040, "grpc_listen_port": 9095}
    if backend.tls is None:
        return server
    files = {
        "cert_file": f"{_FOLDER}/tls.crt",
        "key_file": f"{_FOLDER}/tls.key",
        "client_ca_file": f"{_FOLDER}/ca.crt",
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    both = {"grpc_tls_config": files} if grpc else {}
    return {**server, "tls_min_version": _VERSION, "http_tls_config": files, **both}


def _peer(backend: Backend) -> dict[str, Any]:
    if backend.tls is None:
        return {}
    return {
        "tls_enabled": True,
        "tls_cert_path": f"{_FOLDER}/tls.crt",
        "tls_key_path": f"{_FOLDER}/tls.key",
        "tls_ca_path": f"{_FOLDER}/ca.crt",
        "tls_server_name": f"pyroscope.{BACKEND_NAMESPACE}.svc",
        "tls_min_version": _VERSION,
    }


def _s3(storage: ObjectStorage) -> dict[str, Any]:
    """The bucket of the settings, with the pod's own identity or keys that only the pod's environment holds."""
    s3: dict[str, Any] = {"endpoint": storage.endpoint, "region": storage.region, "bucket_name": storage.bucket}
    if storage.credentials_secret:
        s3 |= {"access_key_id": "${S3_ACCESS_KEY}", "secret_access_key": "${S3_SECRET_KEY}"}
    else:
        s3["native_aws_auth_enabled"] = True
    if storage.kms_key:
        s3["sse"] = {"type": "SSE-KMS", "kms_key_id": storage.kms_key}
    if storage.kind == "seaweedfs":
        s3 |= {"insecure": True, "bucket_lookup_type": "path-style"}
    return s3


def overrides_file(settings: Settings, catalog: Catalog) -> dict[str, Any]:
    """overrides.yaml: two tenants for each team, each with every limit, none of them without end."""
    tenants: dict[str, Any] = {}
    for team in catalog.teams:
        rate = _rate(len(catalog.of_team(team.name)), settings.backend)
        days = team.spec.retention
        tenants[team.name] = {
            **_kept(days.fine_days, team.spec.erase),
            "max_query_length": _for(24),
            "ingestion_rate_mb": Range(rate, rate * _MOST),
            "ingestion_burst_size_mb": Range(max(16.0, rate * 2), max(64.0, rate * 2 * _MOST)),
            "reject_older_than": "1h",
            "reject_newer_than": "10m",
            "distributor_usage_groups": {"svc/${labels.service_name}": '{service_name=~".+"}'},
            **LABELS,
        }
        tenants[f"{team.name}{LONGTERM}"] = {
            **_kept(days.downsampled_days, team.spec.erase),
            "max_query_length": _for(24 * days.downsampled_days),
            "ingestion_rate_mb": 16.0,
            "ingestion_burst_size_mb": 64.0,
            "max_profile_size_bytes": 32 << 20,
            "max_profile_stacktrace_samples": 200_000,
            "reject_older_than": "24h",
            "reject_newer_than": "10m",
            **LABELS,
        }
    return {"overrides": tenants}


def _kept(days: int, erased: bool | None) -> dict[str, Any]:
    """The last days of 90 are for being deleted. What is erased is gone by then, and looked for in all 91."""
    if erased:
        return {"retention_period": "1h", "max_query_lookback": _for(24 * 91)}
    hours = 24 * min(days, LONGEST_KEPT_DAYS)
    return {"retention_period": _for(hours), "max_query_lookback": _for(hours)}


def _for(hours: int) -> Any:
    """A duration, in hours or in days."""
    return OneOf((f"{hours}h", f"{hours // 24}d"))


def _rate(services: int, backend: Backend) -> float:
    return max(_LEAST_MB, round(services * backend.pods_per_service * _MB_PER_POD * _HEADROOM, 1))
