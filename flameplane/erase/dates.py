"""By when what is erased is gone. Pyroscope deletes whole partitions of a tenant and nothing less.

A partition holds 6 hours and goes when it has ended, its 6 hours of grace are over and the newest profile in it is past
`retention_period` (`pkg/metastore/index/cleaner/retention`); the blocks go with the next compaction jobs. So a team is
erased by a tiny retention of its two tenants. A service among others cannot be: there is no call that deletes one, and
no tenant of its own.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.allowed import ERASED_HOURS, LONGEST_KEPT_DAYS
from schemas.team import Team

PARTITION: Final = timedelta(hours=6)
GRACE: Final = timedelta(hours=6)
COMPACTION: Final = timedelta(hours=12)
HOURLY_LATE: Final = timedelta(hours=21)  # how long after its first moment an hourly profile may be pushed


@dataclass(frozen=True)
class Gone:
    """When it is gone, at the latest: fine profiles, and hourly ones."""

    fine: datetime
    hourly: datetime


def of_team(applied: datetime) -> Gone:
    """A team whose erasure was applied at ``applied``, and that pushes nothing any more."""
    end = applied + timedelta(hours=ERASED_HOURS) + PARTITION + GRACE + COMPACTION
    return Gone(end, end)


def of_service(team: Team, stopped: datetime) -> Gone:
    """A service that is profiled no more since ``stopped``: by the retention of its team."""
    deleted = PARTITION + GRACE + COMPACTION
    fine, hourly = (
        timedelta(days=min(days, LONGEST_KEPT_DAYS))
        for days in (team.spec.retention.fine_days, team.spec.retention.downsampled_days)
    )
    return Gone(stopped + fine + deleted, stopped + hourly + HOURLY_LATE + deleted)
