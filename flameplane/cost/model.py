"""The formulas. Each is a pure function of plain numbers: bytes, days, seconds, requests, USD a month."""

from collections.abc import Sequence
from dataclasses import dataclass

from flameplane.cost import constants as c


@dataclass(frozen=True)
class Writes:
    """How the backend writes: replicas of the segment writer, segments that each keeps open, seconds of a segment."""

    writers: int
    tokens: int
    segment_s: float

    @property
    def shards(self) -> int:
        """Shards that a tenant's profiles can be spread over."""
        return self.writers * self.tokens


def stacks_per_push(rate_hz: float, cores: float = c.CORES_PER_POD, push_s: float = c.PUSH_S) -> float:
    """Distinct stacks in one push; at most one per sample."""
    samples = rate_hz * push_s * cores
    return float(samples**c.HEAPS_EXPONENT) if samples > 1 else float(samples)


def bytes_per_push(profile_type: str, rate_hz: float) -> float:
    """Stored bytes of one push of one pod, after compaction. A rate of 0 switches a service off, every type of it."""
    if rate_hz <= 0:
        return 0.0
    if profile_type in c.RATE_TYPES:
        return stacks_per_push(rate_hz) * c.STORED_BYTES_PER_STACK
    return c.STORED_BYTES_PER_HEAP_PUSH


def fine_gb(types: Sequence[str], rate_hz: float, fine_days: float, pods: int) -> float:
    """GB of fine profiles once the retention has filled up."""
    pushes_a_day = c.DAY_S / c.PUSH_S * pods
    days = fine_days + c.DELETION_LAG_DAYS
    return sum(bytes_per_push(t, rate_hz) for t in types) * pushes_a_day * days / c.GB


def hourly_gb(types: Sequence[str], rate_hz: float, from_day: float, to_day: float) -> float:
    """GB of hourly profiles that are between ``from_day`` and ``to_day`` days old; pods are merged."""
    if rate_hz <= 0 or to_day <= from_day:
        return 0.0
    return len(types) * 24 * (to_day - from_day) * c.STORED_BYTES_PER_HOUR / c.GB


def storage_usd(standard_gb: float, infrequent_gb: float) -> float:
    """A month of storage in the two classes."""
    return standard_gb * c.STANDARD_USD_GB + infrequent_gb * c.INFREQUENT_USD_GB


def segment_puts(writes: Writes) -> float:
    """PUTs of segments a month: every open segment is written at the end of its time, whatever is in it."""
    return writes.shards * c.MONTH_S / writes.segment_s


def block_puts(services: int, writes: Writes) -> float:
    """PUTs of first-level blocks of one tenant a month: it fills at most one shard per service."""
    return min(services, writes.shards) * c.MONTH_S / c.COMPACTION_S


def requests_usd(puts: float) -> float:
    """A month of objects that are written once and read once, by the compaction that follows."""
    return puts * (c.PUT_USD + c.GET_USD)
