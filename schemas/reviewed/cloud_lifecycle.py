"""The lifecycle of each bucket, rule by rule. S3 deletes without asking: what no rule names stays.

Days are those of the reference of Pyroscope's bucket layout; docs/aws.md says why each.
"""

from typing import Any, Final

from schemas.allowed import LONGEST_ORPHANED_DAYS
from schemas.reviewed.cloud import AUDIT, PROFILES, Site
from schemas.reviewed.cloud_forms import Between, Forms, Is, One, Rows

# Pyroscope deletes a partition 6 to 12 hours late: S3 comes no sooner than two days after, and no later than ten or
# than the promise of 90 days lets it.
ORPHAN_DAYS: Final = (2, 10)
COLDER_DAYS: Final = 35  # fine profiles of 31 days are gone by then
COLDER_BYTES: Final = 131072  # smaller objects cost more in a colder class
CLASSES: Final = ("STANDARD_IA", "GLACIER_IR")  # read within milliseconds; from the others a query waits for hours
UPLOAD_DAYS: Final = 1
SEGMENT_DAYS: Final = 8  # longer than the longest outage of compaction that is put up with
DEAD_LETTER_DAYS: Final = 30  # what compaction could not read, kept until somebody has looked
QUERY_DAYS: Final = 7
STATE_VERSION_DAYS: Final = 90  # how far back a state of Pulumi can be fetched
UNLOCKED_DAYS: Final = 10  # audit records go that long after their lock


def lifecycle(site: Site, purpose: str, longest: tuple[float, float]) -> Rows:
    """The rules of one bucket. ``longest``: days of the longest retention, at least and at most."""
    uploads = _rule("unfinished-uploads", "", {"abortIncompleteMultipartUpload": {"daysAfterInitiation": UPLOAD_DAYS}})
    if purpose == PROFILES:
        soonest, latest = (kept + days for kept, days in zip(longest, ORPHAN_DAYS, strict=True))
        orphans = Between(soonest, max(soonest, min(latest, LONGEST_ORPHANED_DAYS)))
        return Rows(
            _colder(),
            _expiry("blocks-orphaned", "blocks/", orphans),
            _expiry("segments-orphaned", "segments/", SEGMENT_DAYS),
            _expiry("dead-letters", "dlq/", DEAD_LETTER_DAYS),
            _expiry("query-diagnostics", "query-diagnostics/", QUERY_DAYS),
            _expiry("async-queries", "async-queries/", QUERY_DAYS),
            uploads,
        )
    if purpose == AUDIT:
        return Rows(_expiry("records-unlocked", "", site.cloud.audit.days + UNLOCKED_DAYS), uploads)
    # The state itself stays; its earlier versions are its backups.
    versions = _rule("earlier-states", "", {"noncurrentVersionExpiration": {"noncurrentDays": STATE_VERSION_DAYS}})
    return Rows(versions, uploads)


def _colder() -> Forms:
    larger: Forms = {"and": {"prefix": Is("blocks/"), "objectSizeGreaterThan": Is(COLDER_BYTES)}}
    moved: Forms = {"days": Is(COLDER_DAYS), "storageClass": Is(*CLASSES)}
    return {"id": Is("blocks-colder"), "status": Is("Enabled"), "filter": larger, "transitions": One(moved)}


def _expiry(name: str, prefix: str, days: int | Between) -> Forms:
    """What expires; versions that were replaced go a day later, should anybody switch versioning on."""
    after = days if isinstance(days, Between) else Is(days)
    versions = {"noncurrentDays": Is(UPLOAD_DAYS)}
    return {**_rule(name, prefix, {}), "expiration": {"days": after}, "noncurrentVersionExpiration": versions}


def _rule(name: str, prefix: str, does: dict[str, Any]) -> Forms:
    forms: Forms = {key: {k: Is(v) for k, v in of.items()} for key, of in does.items()}
    return {"id": Is(name), "status": Is("Enabled"), "filter": {"prefix": Is(prefix, optional=not prefix)}, **forms}
