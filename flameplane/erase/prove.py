"""What is left of a team or a service: asked of both tiers through the gateway, day by day, as far back as it lets.

The index is asked, not the samples: a block that holds anything of a service says so. So nothing is overlooked, and
what stands in one block with something younger may be told a day early or late.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from flameplane.backend import Gateway, matching
from flameplane.downsample.labels import SERVICE
from flameplane.wire.pyroscope_pb2 import SeriesRequest, SeriesResponse
from schemas.allowed import RETENTION_DAYS

DAY: Final = 24 * 3_600_000  # one query of a fine tenant may be so long (`max_query_length`)
AHEAD: Final = 600_000  # a profile may be so far in the future (`reject_newer_than`)


@dataclass(frozen=True, order=True)
class Left:
    """A service that a tenant still has something of, and the first and last day on which."""

    tenant: str
    service: str
    oldest: int
    newest: int


def prove(gateway: Gateway, tenants: tuple[str, ...], service: str, now: int, parallel: int = 4) -> list[Left]:
    """Everything that is left. Raises ``BackendError``: what cannot be asked is not proved."""
    asked = [(tenant, start) for tenant in tenants for start in days(now)]
    matchers = [matching({SERVICE: service})] if service else []

    def ask(one: tuple[str, int]) -> list[str]:
        question = SeriesRequest(matchers=matchers, label_names=[SERVICE], start=one[1], end=one[1] + DAY - 1)
        answer = gateway.ask(one[0], "Series", question, SeriesResponse)
        return [next((p.value for p in found.labels if p.name == SERVICE), "?") for found in answer.labels_set]

    found: dict[tuple[str, str], list[int]] = {}
    with ThreadPoolExecutor(parallel) as pool:
        for (tenant, start), services in zip(asked, pool.map(ask, asked), strict=True):
            for name in services:
                found.setdefault((tenant, name), []).append(start)
    return sorted(Left(tenant, name, min(starts), max(starts)) for (tenant, name), starts in found.items())


def days(now: int) -> Iterator[int]:
    """Starts of the days to ask about, the newest first: the promise of 90 days, and one more."""
    for back in range(RETENTION_DAYS[1] + 1):
        yield now + AHEAD - (back + 1) * DAY
