"""How long objects stay, and at what price. A backstop: Pyroscope itself deletes what has expired.

Nothing here ever touches `debug-info/`, `adaptive_placement/`, settings or the cluster's seed: Pyroscope would not make
them anew. Never an archive class: a query would wait for hours.
"""

from typing import Final

from pulumi_aws.s3 import BucketLifecycleConfigurationRuleArgsDict as Rule

from schemas.allowed import LONGEST_ORPHANED_DAYS
from schemas.catalog import Catalog

# Days, from the layout of Pyroscope's bucket (docs/aws.md).
COLDER_DAYS: Final = 35  # by then fine profiles of 31 days are gone: only hourly ones, rarely read, get cheaper storage
# Not GLACIER_IR: it is charged for at least 90 days, and these blocks have about 55 left.
COLDER_CLASS: Final = "STANDARD_IA"
COLDER_BYTES: Final = 131072  # STANDARD_IA charges for at least 128 KiB per object
ORPHAN_DAYS: Final = 10  # after the longest retention, as far as the promise of 90 days lets it
SEGMENT_DAYS: Final = 8  # segments live minutes; longer than the longest outage of compaction that is put up with
DEAD_LETTER_DAYS: Final = 30
QUERY_DAYS: Final = 7
UPLOAD_DAYS: Final = 1  # unfinished multipart uploads, and versions that were replaced
STATE_VERSION_DAYS: Final = 90  # how far back a state of Pulumi can be fetched

_UPLOADS: Final[Rule] = {
    "id": "unfinished-uploads",
    "status": "Enabled",
    "filter": {"prefix": ""},
    "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOAD_DAYS},
}


def profiles(catalog: Catalog) -> list[Rule]:
    """By prefix. Blocks outlive the longest retention of any team, or the index would point at nothing."""
    longest = max(
        (d for team in catalog.teams for d in (team.spec.retention.fine_days, team.spec.retention.downsampled_days)),
        default=catalog.organisation.spec.limits.max_downsampled_days,  # no team yet
    )
    colder: Rule = {
        "id": "blocks-colder",
        "status": "Enabled",
        "filter": {"and_": {"prefix": "blocks/", "object_size_greater_than": COLDER_BYTES}},
        "transitions": [{"days": COLDER_DAYS, "storage_class": COLDER_CLASS}],
    }
    return [
        colder,
        _expiry("blocks-orphaned", "blocks/", min(longest + ORPHAN_DAYS, LONGEST_ORPHANED_DAYS)),
        _expiry("segments-orphaned", "segments/", SEGMENT_DAYS),
        _expiry("dead-letters", "dlq/", DEAD_LETTER_DAYS),
        _expiry("query-diagnostics", "query-diagnostics/", QUERY_DAYS),
        _expiry("async-queries", "async-queries/", QUERY_DAYS),
        _UPLOADS,
    ]


def audit(days: int) -> list[Rule]:
    """Records go when nobody has a right to them any more: with their lock. The version below a deletion goes a day
    later, since a locked bucket keeps versions."""
    return [_expiry("records-unlocked", "", days + ORPHAN_DAYS), _UPLOADS]


def state() -> list[Rule]:
    """The state itself stays; its earlier versions are the backups."""
    versions: Rule = {
        "id": "earlier-states",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrent_version_expiration": {"noncurrent_days": STATE_VERSION_DAYS},
    }
    return [versions, _UPLOADS]


def _expiry(name: str, prefix: str, days: int) -> Rule:
    return {
        "id": name,
        "status": "Enabled",
        "filter": {"prefix": prefix},
        "expiration": {"days": days},
        "noncurrent_version_expiration": {"noncurrent_days": UPLOAD_DAYS},
    }
