"""config.yaml of Pyroscope: one for the whole process, or one that all microservices share.

docs/backend.md says of every key why it is set. Values in ``${}`` come from the environment of the pod, through
``-config.expand-env``: the keys of local object storage, and what only the pod knows (its name and address).
"""

from typing import Any, Final

from components import tls
from components.backend_urls import HTTP_PORT
from components.pyroscope_identities import METASTORE, PROCESS, QUERY_BACKEND, account
from components.pyroscope_limits import LONGTERM
from components.text import as_yaml
from schemas.allowed import BACKEND_NAMESPACE
from schemas.settings.backend import Backend, ObjectStorage

__all__ = ["LONGTERM", "microservices_config", "process_config"]

GRPC_PORT: Final = 9095
ADMIN_PORT: Final = 4042
RAFT_PORT: Final = 9099
GOSSIP_PORT: Final = 7946
DATA: Final = "/data"  # the metastore's state: without it every block in object storage is orphaned
SCRATCH: Final = "/scratch"
OVERRIDES: Final = "/etc/pyroscope/overrides/overrides.yaml"
METASTORES: Final = 3  # a majority of two: one may be lost
GOSSIP: Final = "pyroscope-gossip"  # headless Service of the parts that keep the ring of writers
LOOPBACK: Final = "127.0.0.1"


def headless(role: str) -> str:
    """Name of the headless Service of a role."""
    return f"{account(role)}-headless"


def process_config(backend: Backend) -> str:
    """All parts in one process. They talk to each other on loopback: gossip, raft and gRPC ask nobody who he is."""
    config = _common(backend) | {"target": "all"}
    config["server"] |= {"grpc_listen_address": LOOPBACK}
    config["memberlist"] = {"bind_addr": [LOOPBACK], "advertise_addr": LOOPBACK}
    config["segment_writer"]["lifecycler"] |= {"address": LOOPBACK}
    for ring in ("distributor", "overrides_exporter"):
        config[ring] = {"ring": {"instance_addr": LOOPBACK}}
    config["frontend"] = {"address": LOOPBACK}
    return as_yaml(config)


def microservices_config(backend: Backend) -> str:
    """One file for every role, which each pod names by ``-target``.

    Members find each other by DNS and by names that are known beforehand, never through the Kubernetes API, as the
    chart has it (`kubernetes:///`): no pod of the backend holds a token for it.
    """
    # 10 s until Services and DNS name a pod that is leaving no longer.
    config, peer = _common(backend) | {"shutdown_delay": "10s"}, _peer_tls(backend)
    metastores = [f"{account(METASTORE)}-{n}.{headless(METASTORE)}.{BACKEND_NAMESPACE}.svc" for n in range(METASTORES)]
    own = f"${{POD_NAME}}.{headless(METASTORE)}.{BACKEND_NAMESPACE}.svc:{RAFT_PORT}"
    config["metastore"] |= {
        "address": ",".join(f"{name}:{GRPC_PORT}" for name in metastores),
        "grpc_client_config": peer,
        "snapshot_compact_on_restore": True,
    }
    config["metastore"]["raft"] |= {
        # `address/id`: without the id it would be the host alone, and no node would find itself in the list.
        "bootstrap_peers": [f"{name}:{RAFT_PORT}/{name}:{RAFT_PORT}" for name in metastores],
        "bootstrap_expect_peers": METASTORES,
        "server_id": own,
        "advertise_address": own,
        "bind_address": f":{RAFT_PORT}",
    }
    config["segment_writer"]["lifecycler"] |= {"address": "${POD_IP}"}
    config["segment_writer"]["grpc_client_config"] = peer
    config["query_backend"] = {
        "address": f"dns:///{headless(QUERY_BACKEND)}.{BACKEND_NAMESPACE}.svc:{GRPC_PORT}",
        "grpc_client_config": peer,
    }
    config["memberlist"] = {
        "cluster_label": f"flameplane-{PROCESS}",  # a stray member of another ring is not listened to
        "join_members": [f"dns+{GOSSIP}.{BACKEND_NAMESPACE}.svc:{GOSSIP_PORT}"],
        "advertise_addr": "${POD_IP}",  # found by itself only where pods have private addresses
    }
    for ring in ("distributor", "overrides_exporter"):
        config[ring] = {"ring": {"instance_addr": "${POD_IP}"}}
    config["frontend"] = {"address": "${POD_IP}"}
    return as_yaml(config)


def _common(backend: Backend) -> dict[str, Any]:
    return {
        "architecture_storage": "v2",  # the binary's default still writes version 1 as well
        "multitenancy_enabled": True,
        "analytics": {"reporting_enabled": False},  # on by default: reports to the vendor
        "self_profiling": {"disable_push": True},
        "show_banner": False,
        "server": _server(backend),
        # /ops reads any tenant's raw profiles without a tenant header: it leaves the port that the gateway uses.
        "admin_server": {"mode": "exclusive", "http_listen_address": "0.0.0.0", "http_listen_port": ADMIN_PORT},  # noqa: S104
        "metastore": {
            "data_dir": f"{DATA}/data",
            "raft": {"dir": f"{DATA}/raft", "snapshots_dir": f"{DATA}/raft"},
            "index": {"cleanup_interval": "1m"},  # 0 in 2.0 and 2.1: retention would be declared and never enforced
        },
        "segment_writer": {
            "segment_duration": backend.writes.segment_duration,
            "lifecycler": {"num_tokens": backend.writes.tokens},
        },
        "compaction_worker": {"temp_dir": SCRATCH},
        "storage": {"backend": "s3", "s3": _s3(backend.object_storage)},
        "runtime_config": {"file": OVERRIDES, "period": "10s"},
        # A tenant that no team owns: nothing is kept longer than the promise, and nothing is read further back.
        "limits": {
            "retention_period": "30d",
            "max_query_lookback": "30d",
            "max_query_length": "1d",
            # It would ask a public server, and build ids would leave the organisation.
            "symbolizer": {"enabled": False},
        },
        # Should somebody switch it on for a tenant, it still asks nobody outside.
        "symbolizer": {"debuginfod_url": ""},
    }


def _server(backend: Backend) -> dict[str, Any]:
    server: dict[str, Any] = {"http_listen_port": HTTP_PORT, "grpc_listen_port": GRPC_PORT}
    if backend.tls:
        files = {
            "cert_file": f"{tls.SERVER_FOLDER}/{tls.CERTIFICATE}",
            "key_file": f"{tls.SERVER_FOLDER}/{tls.KEY}",
            "client_ca_file": f"{tls.SERVER_FOLDER}/{tls.CA}",
            "client_auth_type": "RequireAndVerifyClientCert",
        }
        server |= {"tls_min_version": "VersionTLS13", "http_tls_config": files}
        if backend.architecture == "microservices":
            server |= {"grpc_tls_config": files}
    return server


def _peer_tls(backend: Backend) -> dict[str, Any]:
    """Client side of gRPC between the parts; all show the same certificate, so one name is checked whoever answers."""
    if backend.tls is None:
        return {}
    return {
        "tls_enabled": True,
        "tls_cert_path": f"{tls.SERVER_FOLDER}/{tls.CERTIFICATE}",
        "tls_key_path": f"{tls.SERVER_FOLDER}/{tls.KEY}",
        "tls_ca_path": f"{tls.SERVER_FOLDER}/{tls.CA}",
        "tls_server_name": tls.PEER_NAME,
        "tls_min_version": "VersionTLS13",
    }


def _s3(storage: ObjectStorage) -> dict[str, Any]:
    s3: dict[str, Any] = {"endpoint": storage.endpoint, "region": storage.region, "bucket_name": storage.bucket}
    if storage.credentials_secret:
        s3 |= {"access_key_id": "${S3_ACCESS_KEY}", "secret_access_key": "${S3_SECRET_KEY}"}
    else:
        s3 |= {"native_aws_auth_enabled": True}
    if storage.kms_key:
        s3 |= {"sse": {"type": "SSE-KMS", "kms_key_id": storage.kms_key}}
    if storage.kind == "seaweedfs":
        s3 |= {"insecure": True, "bucket_lookup_type": "path-style"}
    return s3
