"""How large each part of Pyroscope is, from what services/ declares. docs/backend.md explains the figures.

One unit runs through all of it: MB/s of uncompressed profiles, which is also what Pyroscope's own limits count.
"""

import math
from dataclasses import dataclass
from typing import Final

from components import pyroscope_identities as roles
from schemas.catalog import Catalog
from schemas.settings.backend import Backend

# MB/s of uncompressed CPU and heap profiles of one Go pod with a busy core at 99 Hz: 54 KB + 21.5 KB each 15 s,
# measured. Fewer samples have fewer stacks, so it is an upper bound for every lower rate.
MB_PER_POD: Final = 0.0051
# A team may send five times what its services send on average, before its profiles are dropped.
TEAM_HEADROOM: Final = 5.0
# MB/s that one core takes in: half of what was measured in the slowest part (docs/backend.md). No public figure exists;
# Pyroscope's dashboard of the write path shows the real one ("Processing Rate (MB/sec/core)").
MB_PER_CORE: Final = 5.0
# Bytes in memory for each byte of a segment that is being gathered: parsed stacks, strings and the index of labels.
# Assumed, not measured.
EXPANSION: Final = 20.0
_GIB: Final = 1024  # Mi


@dataclass(frozen=True)
class Size:
    """Replicas and resources of one part. CPU in millicores, memory in Mi."""

    replicas: int
    cpu: int
    memory: int
    memory_limit: int

    @property
    def cpu_limit(self) -> int:
        """Twice the request, at least one core: compaction and queries come in bursts."""
        return max(1000, 2 * self.cpu)

    @property
    def gomemlimit(self) -> str:
        """What Go's collector aims at: nine tenths of the limit, so that it works harder before the kernel kills."""
        return f"{self.memory_limit * 9 // 10}MiB"


def ingest_mb(catalog: Catalog, backend: Backend) -> float:
    """MB/s that the declared services send together, each with the average number of pods."""
    sampled = [s for s in catalog.services if s.spec.profiling.sample_rate_hz > 0]
    return len(sampled) * backend.pods_per_service * MB_PER_POD


def team_rate_mb(services: int, backend: Backend) -> float:
    """``ingestion_rate_mb`` of a team. Pyroscope's default of 4 already rejects a platform of 80 services."""
    return max(4.0, round(services * backend.pods_per_service * MB_PER_POD * TEAM_HEADROOM, 1))


def sizes(catalog: Catalog, backend: Backend) -> dict[str, Size]:
    """Size of every role. The smallest are those of Pyroscope's chart 2.2.1; growth is by replicas, one to spare."""
    mb = ingest_mb(catalog, backend)
    writers = backend.writes.writers
    # One writer down: the others take its share.
    held = mb / max(1, writers - 1) * _seconds(backend.writes.segment_duration) * EXPANSION
    writer = max(2 * _GIB, _step(1 * _GIB + 2 * held))  # twice: one segment is written while the next one fills
    writer_cpu = max(1000, _step(1000 * mb / max(1, writers - 1) / MB_PER_CORE, 250))
    cores = mb / MB_PER_CORE
    services = len(catalog.services)
    return {
        # Half a core each.
        roles.DISTRIBUTOR: Size(max(2, math.ceil(cores / 0.5) + 1), 500, 256, 1 * _GIB),
        roles.SEGMENT_WRITER: Size(writers, writer_cpu, writer, 2 * writer),
        # Three copies of the same index: more would not share the load, only slow down the log.
        roles.METASTORE: Size(3, 1000, 1 * _GIB, 2 * _GIB),
        # Everything that comes in is read and written again, about twice (levels 0 to 2).
        roles.COMPACTION_WORKER: Size(max(2, math.ceil(2 * cores) + 1), 1000, 1 * _GIB, 2 * _GIB),
        # People and jobs read; a platform of 200 services has three.
        roles.QUERY_BACKEND: Size(max(2, math.ceil(services / 100) + 1), 1000, 256, 1 * _GIB),
        roles.QUERY_FRONTEND: Size(2, 100, 256, 1 * _GIB),
        roles.TENANT_SETTINGS: Size(1, 100, 64, 256),
    }


def _seconds(duration: str) -> float:
    return float(duration.removesuffix("ms")) / 1000 if duration.endswith("ms") else float(duration.removesuffix("s"))


def _step(value: float, step: int = 256) -> int:
    return math.ceil(value / step) * step
