"""What runs in the backend's namespace: Pyroscope, in parts or as one process, or what stands in for it in environment
local, and the object storage there."""

from typing import Any, Final

from schemas.reviewed.forms import OneOf, Range
from schemas.reviewed.program_forms import (
    GOMEMLIMIT,
    HOST,
    ZONE,
    Program,
    Workload,
    at_least,
    from_field,
    from_secret,
    rolling,
    spread,
    user,
)
from schemas.reviewed.program_forms import http as probe
from schemas.settings import Settings
from schemas.settings.backend import Backend

# Whatever else it is told stands in config.yaml, which is compared by itself.
FLAGS: Final = (
    "-config.file=/etc/pyroscope/config/config.yaml",
    "-config.expand-env=true",
    "-debug-info.enabled=false",
)
LOOPBACK: Final = "-server.http-listen-address=127.0.0.1"
ALIVE: Final = "/api/v1/status/buildinfo"  # answered without the ring, the index or the bucket
DOORS: Final = ("distributor", "query-frontend", "tenant-settings")  # what the gateway calls
GOSSIP: Final = ("distributor", "segment-writer", "query-frontend")
CLAIMS_STAY: Final = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"}}
PYROSCOPE: Final = user(10001, volumes=True)  # the image's own user
MOST: Final = 500  # replicas: a platform that needs more wants a look first


def backend(settings: Settings, services: int) -> dict[str, Workload]:
    """By name."""
    store = settings.backend
    whole = {"devstore": lambda: {"devstore": _devstore(store)}, "process": lambda: {"pyroscope": _process(store)}}
    found = whole.get(store.architecture, lambda: _parts(store))()
    if store.object_storage.kind == "seaweedfs":
        found["object-storage"] = _storage(store)
    return found


def _parts(backend: Backend) -> dict[str, Workload]:
    metastore = "pyroscope-metastore"
    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app.kubernetes.io/name": metastore}}, "topologyKey": HOST}
            ]
        }
    }
    found = {
        "distributor": _deployment(backend, "distributor", Range(2, MOST), 60, at_least("500m", "256Mi", "1", "1Gi")),
        "segment-writer": Workload(
            "StatefulSet",
            PYROSCOPE,
            {"pyroscope": _part(backend, "segment-writer", at_least("1", "2Gi", "2", "4Gi"))},
            {
                "replicas": backend.writes.writers,
                "podManagementPolicy": "Parallel",
                "serviceName": "pyroscope-segment-writer-headless",
            },
            _placed("segment-writer", 600),  # it writes what it holds before it goes
        ),
        "metastore": Workload(
            "StatefulSet",
            PYROSCOPE,
            {"pyroscope": _metastore(backend)},
            {
                "replicas": OneOf((3, 5, 7)),  # as many as the configuration expects (rule FP036)
                "minReadySeconds": 30,  # a leader is elected before the next one goes
                "podManagementPolicy": "Parallel",
                "serviceName": f"{metastore}-headless",
                **CLAIMS_STAY,
                "volumeClaimTemplates": [_claim("metastore", backend, backend.volumes.metastore)],
            },
            {**_placed("metastore", 300, hard=True), "affinity": apart},
        ),
        "compaction-worker": Workload(
            "Deployment",
            PYROSCOPE,
            {
                "pyroscope": _part(
                    backend, "compaction-worker", at_least("1", "1Gi", "2", "2Gi"), {"scratch": "/scratch"}
                )
            },
            {"replicas": Range(2, MOST), "strategy": rolling(unavailable=1)},
            _placed("compaction-worker", 300),
        ),
        "query-backend": _deployment(backend, "query-backend", Range(2, MOST), 120, at_least("1", "256Mi", "2", "1Gi")),
        "query-frontend": _deployment(backend, "query-frontend", 2, 120, ("100m", "256Mi", "1", "1Gi")),
        # Two would overwrite each other's settings.
        "tenant-settings": Workload(
            "Deployment",
            PYROSCOPE,
            {"pyroscope": _part(backend, "tenant-settings", ("100m", "64Mi", "1", "256Mi"))},
            {"replicas": 1, "strategy": {"type": "Recreate"}},
            _placed("tenant-settings", 30),
            budget=False,
        ),
    }
    return {f"pyroscope-{role}": workload for role, workload in found.items()}


def _deployment(backend: Backend, role: str, replicas: Any, grace: int, size: tuple[Any, Any, Any, Any]) -> Workload:
    program = _part(backend, role, size)
    spec = {"replicas": replicas, "strategy": rolling()}
    return Workload("Deployment", PYROSCOPE, {"pyroscope": program}, spec, _placed(role, grace))


def _placed(role: str, grace: int, *, hard: bool = False) -> dict[str, Any]:
    constraints = spread(f"pyroscope-{role}", ZONE, HOST, hard=hard)
    return {"terminationGracePeriodSeconds": grace, "topologySpreadConstraints": constraints}


def _part(
    backend: Backend, role: str, size: tuple[Any, Any, Any, Any], mounts: dict[str, str] | None = None, **more: Any
) -> Program:
    ports = {"http": 4040} if role in DOORS else {}
    ports |= {"grpc": 9095, "metrics": 4042} | ({"gossip": 7946} if role in GOSSIP else {})
    ports |= {"raft": 9099} if role == "metastore" else {}
    fields = {"POD_NAME": from_field("metadata.name"), "POD_IP": from_field("status.podIP")}
    probes = {
        "ready": probe("/ready", "metrics"),
        "alive": probe(ALIVE, "metrics", 30, 4),
        "started": probe(ALIVE, "metrics", 5, 24),
    }
    return Program(
        image="pyroscope",
        arguments=(*FLAGS, f"-target={role}", *(() if role in DOORS else (LOOPBACK,))),
        size=size,
        environment={**fields, "GOMEMLIMIT": GOMEMLIMIT, **_keys(backend)},
        ports=ports,
        mounts={**_configuration(backend), **(mounts or {})},
        **{**probes, **more},
    )


def _metastore(backend: Backend) -> Program:
    """A stuck raft node never recovers by itself, which /ready says: ten minutes of that are a restart."""
    size = ("1", "1Gi", "2", "2Gi")
    alive, started = probe("/ready", "metrics", 30, 20), probe("/ready", "metrics", 10, 60)
    return _part(backend, "metastore", size, {"metastore": "/data"}, alive=alive, started=started)


def _compaction(backend: Backend) -> Program:
    return _part(backend, "compaction-worker", at_least("1", "1Gi", "2", "2Gi"), {"scratch": "/scratch"})


def _process(backend: Backend) -> Workload:
    program = Program(
        image="pyroscope",
        arguments=FLAGS,
        size=("250m", "512Mi", "2", "2Gi"),
        environment={"GOMEMLIMIT": GOMEMLIMIT, **_keys(backend)},
        ports={"http": 4040, "metrics": 4042},
        mounts={**_configuration(backend), "metastore": "/data", "scratch": "/scratch"},
        ready=probe("/ready", "metrics"),
        alive=probe("/ready", "metrics", 30, 20),
    )
    claim = _claim("metastore", backend, backend.volumes.metastore)
    spec = {"replicas": 1, "serviceName": "pyroscope-headless", **CLAIMS_STAY, "volumeClaimTemplates": [claim]}
    placed = {"terminationGracePeriodSeconds": 120}
    return Workload("StatefulSet", PYROSCOPE, {"pyroscope": program}, spec, placed, budget=False)


def _devstore(backend: Backend) -> Workload:
    program = Program(
        image="devstore",
        arguments=(
            *("--listen=:4040", "--metrics=:4041", "--data=/data"),
            "--overrides=/etc/devstore/overrides.yaml",
        ),
        size=("100m", "128Mi", "1", "512Mi"),
        ports={"http": 4040, "metrics": 4041},
        mounts={"overrides": "/etc/devstore", "profiles": "/data"},
        ready=probe("/ready", "metrics"),
        alive=probe("/healthz", "metrics", 30),
    )
    claim = _claim("profiles", backend, backend.volumes.metastore)
    spec = {"replicas": 1, "serviceName": "devstore", **CLAIMS_STAY, "volumeClaimTemplates": [claim]}
    placed = {"terminationGracePeriodSeconds": 60}
    return Workload("StatefulSet", user(65532, volumes=True), {"devstore": program}, spec, placed, budget=False)


def _configuration(backend: Backend) -> dict[str, str]:
    certificate = {"backend-tls": "/etc/pyroscope/tls"} if backend.tls else {}
    return {"config": "/etc/pyroscope/config", "overrides": "/etc/pyroscope/overrides", **certificate}


def _keys(backend: Backend) -> dict[str, Any]:
    """Of object storage, where pods have no identity of their own in the cloud."""
    secret = backend.object_storage.credentials_secret
    keys = {"S3_ACCESS_KEY": "access-key", "S3_SECRET_KEY": "secret-key"}
    return {variable: from_secret(secret, key) for variable, key in keys.items()} if secret else {}


def _claim(name: str, backend: Backend, size: str) -> dict[str, Any]:
    return {
        "name": name,
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": backend.volumes.storage_class,
        "resources": {"requests": {"storage": size}},
    }


def _storage(backend: Backend) -> Workload:
    """SeaweedFS answers anybody on its own ports, so these stay on loopback; the second container asks for keys."""
    off = ("-s3.port.iceberg=0", "-s3.port.lance=0")
    store = Program(
        image="seaweedfs",
        arguments=(
            *("mini", "-dir=/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3=false"),
            f"-bucket={backend.object_storage.bucket}",
            *("-master.telemetry=false", "-disableHttp", "-webdav=false", "-admin.ui=false", *off),
        ),
        size=("50m", "192Mi", "1", "768Mi"),
        mounts={"blocks": "/data", "store-tmp": "/tmp"},  # noqa: S108
    )
    s3 = Program(
        image="seaweedfs",
        arguments=(
            *("s3", "-filer=127.0.0.1:8888", "-ip.bind=0.0.0.0", "-port=8333", "-config=/etc/object-storage/s3.json"),
            *("-port.iceberg=0", "-port.lance=0", "-iam=false"),
        ),
        size=("50m", "128Mi", "1", "512Mi"),
        ports={"s3": 8333},
        mounts={"identities": "/etc/object-storage", "s3-tmp": "/tmp"},  # noqa: S108
        ready=probe("/healthz", "s3"),
        alive=probe("/healthz", "s3", 30),
    )
    claim = _claim("blocks", backend, backend.volumes.blocks or backend.volumes.metastore)
    return Workload(
        "StatefulSet",
        user(10002, volumes=True),
        {"store": store, "s3": s3},
        {"replicas": 1, "serviceName": "object-storage", "volumeClaimTemplates": [claim]},
        {"terminationGracePeriodSeconds": 30},
        budget=False,
    )
