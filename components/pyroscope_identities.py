"""Who Pyroscope's parts are, and what each may do in the bucket of the profiles.

Read by the components that make the service accounts and by those that give them a cloud identity. Prefixes are those
of Pyroscope 2.2: `pkg/block/object.go` (segments, blocks, dlq), `pkg/segmentwriter/client/distributor/placement`
(adaptive_placement), `pkg/settings/bucket.go` (tenant_settings.json),
`pkg/frontend/readpath/queryfrontend/diagnostics/store.go` (query-diagnostics).
"""

from dataclasses import dataclass
from typing import Final

from schemas.allowed import BACKEND_NAMESPACE

PROCESS: Final = "pyroscope"  # the service account of the one-process backend; the prefix of all others
DISTRIBUTOR: Final = "distributor"
SEGMENT_WRITER: Final = "segment-writer"
METASTORE: Final = "metastore"
COMPACTION_WORKER: Final = "compaction-worker"
QUERY_FRONTEND: Final = "query-frontend"
QUERY_BACKEND: Final = "query-backend"
TENANT_SETTINGS: Final = "tenant-settings"


def account(role: str) -> str:
    """Service account, and name of all other objects, of one role."""
    return f"{PROCESS}-{role}"


@dataclass(frozen=True)
class StorageAccess:
    """Key patterns of one service account; ``lists`` are prefixes of keys that it may list (`""`: the whole bucket)."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


_SEGMENTS, _BLOCKS, _DLQ, _PLACEMENT = "segments/*", "blocks/*", "dlq/*", "adaptive_placement/*"
_SETTINGS, _DIAGNOSTICS = "tenant_settings.json", "query-diagnostics/*"

# By role. Every role opens the bucket, but the distributor only reads where to send, and nobody deletes what it need
# not: a stolen token of the query path cannot remove a profile.
_ROLES: Final[dict[str, StorageAccess]] = {
    DISTRIBUTOR: StorageAccess(reads=(_PLACEMENT,)),
    # It lists the bucket once at its start, to find out whether it may write at all.
    SEGMENT_WRITER: StorageAccess(writes=(_SEGMENTS, _DLQ), lists=("",)),
    METASTORE: StorageAccess(
        reads=(_DLQ, _PLACEMENT), writes=(_PLACEMENT,), deletes=(_DLQ,), lists=("dlq/", "adaptive_placement/")
    ),
    COMPACTION_WORKER: StorageAccess(
        reads=(_SEGMENTS, _BLOCKS), writes=(_BLOCKS,), deletes=(_SEGMENTS, _BLOCKS), lists=("segments/", "blocks/")
    ),
    # It removes diagnostics that are older than a week; none are made, since the gateway strips the header for it.
    QUERY_FRONTEND: StorageAccess(deletes=(_DIAGNOSTICS,), lists=("query-diagnostics/",)),
    QUERY_BACKEND: StorageAccess(reads=(_SEGMENTS, _BLOCKS)),
    TENANT_SETTINGS: StorageAccess(reads=(_SETTINGS,), writes=(_SETTINGS,)),
}


def _all() -> StorageAccess:
    def join(field: str) -> tuple[str, ...]:
        return tuple(sorted({key for access in _ROLES.values() for key in getattr(access, field)}))

    return StorageAccess(join("reads"), join("writes"), join("deletes"), join("lists"))


STORAGE_ACCOUNTS: Final[dict[str, StorageAccess]] = {
    account(role): access for role, access in _ROLES.items()
}  # architecture microservices
PROCESS_ACCOUNT: Final[dict[str, StorageAccess]] = {PROCESS: _all()}  # architecture process
NAMESPACE: Final = BACKEND_NAMESPACE


def storage_accounts(architecture: str) -> dict[str, StorageAccess]:
    """Service accounts of namespace ``flameplane-backend`` that reach the bucket, and what for."""
    return STORAGE_ACCOUNTS if architecture == "microservices" else PROCESS_ACCOUNT
