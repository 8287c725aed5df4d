"""S3 lifecycle: never faster than the retention, never into an archive, never on what cannot be made again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.cloud import BUCKET, LIFECYCLE, VERSIONING, Cloud, breaks, clouds
from policies.declared import LONGTERM, read
from policies.objects import at, items
from policies.pyroscope import config_files, days, override_files, retention
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules.retention import kept as kept_days
from schemas.allowed import LONGEST_KEPT_DAYS, LONGEST_ORPHANED_DAYS, RETENTION_DAYS

# Reference: Pyroscope 2.x deletes a partition 6 to 12 hours late; its index must never point at missing objects.
MARGIN_DAYS: Final = 2
SEGMENT_DAYS: Final = 7  # the longest outage of compaction that is put up with
UPLOAD_DAYS: Final = 7
# The only prefixes of Pyroscope's bucket whose objects may expire by S3. Not among them: debug-info/, symbolizer/,
# adaptive_placement/, settings and seed, which Pyroscope would not make anew.
EXPIRING: Final = ("blocks/", "segments/", "dlq/", "query-diagnostics/", "async-queries/")
# Read within milliseconds; from GLACIER and DEEP_ARCHIVE a query would wait for hours.
CLASSES: Final = ("STANDARD_IA", "GLACIER_IR")
_Rules = Sequence[Mapping[str, Any]]
COLDER_AFTER_DAYS: Final = 30  # S3's own minimum for STANDARD_IA


def _lifecycle(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        kept = longest(manifests)
        for bucket in cloud.buckets:
            configurations = cloud.companions(LIFECYCLE, bucket)
            if not configurations:
                yield breaks(
                    bucket, "has no BucketLifecycleConfiguration: orphans and unfinished uploads stay for ever"
                )
            for configuration in configurations:
                rules = [r for r in items(at(configuration, "spec", "rules")) if r.get("status") == "Enabled"]
                for how in _judged(cloud, bucket, rules, kept):
                    yield breaks(configuration, how)


def longest(manifests: Sequence[Manifest]) -> tuple[float, float]:
    """The longest retention, in days, that anything in the stack asks for: what surely has to be kept, and what may be.

    They are one unless rule FP004 says that a retention is wrong: nobody knows then which one was meant.
    """
    declared, kept = read(manifests), _overrides(manifests)
    floor, ceiling = (declared.limit(limit) or 0 for limit in ("minFineDays", "maxDownsampledDays"))
    sure: list[float] = []
    doubtful: list[float] = []
    for team in declared.teams.values():
        for path, tenant in (("fineDays", team.name), ("downsampledDays", f"{team.name}{LONGTERM}")):
            said, done = kept_days(team.get(f"spec.retention.{path}")), kept.pop(tenant, None)
            days_said = [d for d in (said, done) if isinstance(d, int | float)]
            agreed = days_said and len(set(days_said)) == 1 and floor <= days_said[0] <= (ceiling or days_said[0])
            (sure if agreed and _promised(days_said[0]) else doubtful).extend(days_said)
    others = [*kept.values(), *(days(retention(file)) for file in config_files(manifests))]
    if not declared.teams:  # the first one may ask for that much
        others.append(kept_days(declared.limit("maxDownsampledDays")))
    for one in (d for d in others if d):
        (sure if _promised(one) else doubtful).append(one)
    most = [*sure, *doubtful, *([LONGEST_KEPT_DAYS] if doubtful else [])]
    least = RETENTION_DAYS[0] if doubtful else LONGEST_KEPT_DAYS
    return float(max(sure, default=least)), float(max(most, default=LONGEST_KEPT_DAYS))


def _overrides(manifests: Sequence[Manifest]) -> dict[str, float | None]:
    """Days by tenant, as the backend has them."""
    return {
        str(tenant): days(str((of or {}).get("retention_period") or "0"))
        for file in override_files(manifests)
        for tenant, of in (file.body.get("overrides") or {}).items()
    }


def _promised(kept: float) -> bool:
    return RETENTION_DAYS[0] <= kept <= LONGEST_KEPT_DAYS


def _judged(cloud: Cloud, bucket: Manifest, rules: _Rules, kept: tuple[float, float]) -> Iterator[str]:
    purpose = cloud.purpose(str(at(bucket, "spec", "bucket")))
    if not any(0 < (at(r, "abortIncompleteMultipartUpload", "daysAfterInitiation") or 0) <= UPLOAD_DAYS for r in rules):
        yield f"has no rule that ends unfinished uploads within {UPLOAD_DAYS} days"
    for rule in rules:
        if at(rule, "expiration", "date"):
            yield f"rule {rule.get('id')} deletes on a date: that is no lifecycle but an appointment"
        if purpose != "profiles" and items(rule.get("transitions")):
            yield f"rule {rule.get('id')} moves objects to another class, which only profiles have a reason for"
    if purpose == "profiles":
        yield from _profiles(cloud, bucket, rules, kept[0])
    if purpose == "state" and any(_expires(r) for r in rules):
        yield "deletes the state of Pulumi; only earlier versions may go"
    if purpose == "audit":
        locked = cloud.said("cloud.audit.days") or 0
        if short := [r for r in rules if (_expires(r) or locked) < locked]:
            after = f"{_expires(short[0]):g} days; they are locked for {locked:g}"
            yield f"rule {short[0].get('id')} deletes audit records after {after}"


def _profiles(cloud: Cloud, bucket: Manifest, rules: _Rules, sure: float) -> Iterator[str]:
    for rule in rules:
        prefix, expires = _prefix(rule), _expires(rule)
        known = [p for p in EXPIRING if prefix.startswith(p)]
        called = f"rule {rule.get('id')}"
        if expires and not known:
            yield f"{called} deletes below `{prefix}`; only {', '.join(EXPIRING)} may expire"
        if expires and known == ["blocks/"] and expires < sure + MARGIN_DAYS:
            yield (
                f"{called} deletes blocks after {expires:g} days; profiles are kept for {sure:g}, so at least "
                f"{sure + MARGIN_DAYS:g}"
            )
        if expires and known == ["segments/"] and expires < SEGMENT_DAYS:
            yield f"{called} deletes segments after {expires:g} days; compaction may be out for {SEGMENT_DAYS}"
        for transition in items(rule.get("transitions")):
            storage = transition.get("storageClass")
            if known != ["blocks/"]:
                yield f"{called} moves `{prefix}` to {storage}; only blocks/ may get colder"
            elif storage not in CLASSES:
                yield f"{called} moves blocks to {storage}, from where no query gets them; valid: {', '.join(CLASSES)}"
            elif (transition.get("days") or 0) < COLDER_AFTER_DAYS:
                yield f"{called} moves blocks after {transition.get('days') or 0:g} days; at least {COLDER_AFTER_DAYS}"
        if at(rule, "noncurrentVersionTransitions"):
            yield f"{called} moves old versions instead of deleting them"
    backstop = [e for r in rules if _prefix(r) == "blocks/" and (e := _expires(r)) and not _narrowed(r)]
    if not backstop:
        yield "has no rule that deletes orphans below blocks/"
    elif min(backstop) > LONGEST_ORPHANED_DAYS:
        how = f"at most {LONGEST_ORPHANED_DAYS}, so that nothing is older than {RETENTION_DAYS[1]} when it is gone"
        yield f"deletes orphans below blocks/ after {min(backstop):g} days; {how}"
    versioned = [
        v
        for v in cloud.companions(VERSIONING, bucket)
        if at(v, "spec", "versioningConfiguration", "status") == "Enabled"
    ]
    if versioned and not any(at(r, "noncurrentVersionExpiration", "noncurrentDays") for r in rules):
        yield "keeps versions for ever: deleted profiles would stay"


def _prefix(rule: Mapping[str, Any]) -> str:
    return str(at(rule, "filter", "and", "prefix") or at(rule, "filter", "prefix") or rule.get("prefix") or "")


def _narrowed(rule: Mapping[str, Any]) -> bool:
    """Whether a rule is about some of the objects below its prefix only."""
    keys = ("objectSizeGreaterThan", "objectSizeLessThan", "tag", "tags")
    return any(at(rule, "filter", *way, key) for way in ((), ("and",)) for key in keys)


def _expires(rule: Mapping[str, Any]) -> float:
    return float(at(rule, "expiration", "days") or 0)


RULES: Final = (
    Rule(
        id="FP027",
        name="lifecycle",
        why="S3 deletes without asking Pyroscope: its index would point at objects that are gone. It is a backstop and "
        "a price tier, and no second retention.",
        remediation=f"Expire blocks/ at least {MARGIN_DAYS} days after the longest retention, move them to "
        f"{' or '.join(CLASSES)} only, let nothing expire but {', '.join(EXPIRING)} (components/aws/lifecycle.py).",
        kinds=("ConfigMap", BUCKET, LIFECYCLE, VERSIONING, SETTINGS),
        check=_lifecycle,
        scope="stack",
    ),
)
