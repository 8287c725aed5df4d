"""Grants to export profiles: who asked, who agreed, for what, until when."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from policies.declared import read
from policies.objects import at, breaks, documents, items
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import EXPORT_FORMATS, GRANT_DAYS, RETENTION_DAYS

KIND: Final = "ExportGrant"
TIMES: Final = ("metadata.granted", "spec.expires", "spec.window.from", "spec.window.to")
CLOCKS: Final = timedelta(minutes=15)  # by which those of two machines may differ
KEPT: Final = timedelta(RETENTION_DAYS[1])  # so a window is never longer than this and the life of the grant
VERSION: Final = "flameplane.dev/v1"
# Every key that a grant may have: one too many would be believed to mean something.
KEYS: Final = {
    (): ("apiVersion", "kind", "metadata", "spec"),
    ("metadata",): ("name", "granted"),
    ("spec",): ("requester", "approver", "team", "service", "format", "purpose", "expires", "window"),
    ("spec", "window"): ("from", "to"),
}
PERSON: Final = re.compile(r"@?[^\s@*,;]+(@[^\s@*,;]+)?")  # one, by name or address
NEEDED: Final = ("spec.requester", "spec.approver", "spec.team", "spec.service", "spec.purpose", *TIMES)


def _grants(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    declared = read(manifests)
    services = {service.name: str(service.get("metadata.team")) for service in declared.services}
    owners = items(at(declared.organisation, "metadata", "owners"))
    for manifest in manifests:
        for key, document in documents(manifest).items():
            if at(document, "kind") == KIND:
                for how in _judged(document, services, owners):
                    yield breaks(manifest, f"holds the grant {key}, which {how}")


def _judged(grant: Mapping[str, Any], services: Mapping[str, str], owners: Sequence[str]) -> Iterator[str]:
    values = {path: at(grant, *path.split(".")) for path in NEEDED}
    for path, value in values.items():
        if not str(value or "").strip():
            yield f"has no {path}"
    yield from _unknown(grant)
    yield from _people(str(values["spec.requester"] or ""), str(values["spec.approver"] or ""), owners)
    if (service := values["spec.service"]) and (service == "*" or (services and service not in services)):
        yield f"is about {service}, which no service file declares"
    elif (team := values["spec.team"]) and services.get(str(service), team) != team:
        yield f"is about {service} of {team}, which is a service of {services[str(service)]}"
    if (form := at(grant, "spec", "format")) not in EXPORT_FORMATS:
        yield f"has format {form}; valid: {', '.join(EXPORT_FORMATS)}"
    yield from _times(values)


def _people(requester: str, approver: str, owners: Sequence[str]) -> Iterator[str]:
    """One asks, another agrees: one of those whom CODEOWNERS has for exports/."""
    named = {"requester": requester, "approver": approver}
    strange = [what for what, who in named.items() if who and not PERSON.fullmatch(who)]
    yield from (f"names no single person as {what} ({named[what]})" for what in strange)
    if requester and _person(requester) == _person(approver):
        yield f"is approved by who asked for it ({approver})"
    elif approver and owners and approver not in owners and "approver" not in strange:
        yield f"is approved by {approver}, who does not own exports; valid: {', '.join(owners)}"


def _times(values: Mapping[str, Any]) -> Iterator[str]:
    times = {path: _time(values[path]) for path in TIMES}
    if wrong := [path for path, time in times.items() if values[path] and time is None]:
        yield f"has a {wrong[0]} that is no time with its zone"
    granted, expires, start, end = times.values()
    if expires and end and end > expires:
        yield f"has a window that ends after the grant itself ({expires})"
    if granted and granted > datetime.now(UTC) + CLOCKS:
        yield f"was granted at {granted}, which is still to come"
    if granted and expires and not timedelta() < expires - granted <= timedelta(GRANT_DAYS):
        yield f"holds from {granted} to {expires}; at most {GRANT_DAYS} days"
    if start and end and start >= end:
        yield "has a window that ends before it starts"
    elif granted and start and granted - start > KEPT:
        yield f"has a window from {start}, of which nothing is kept; at most {KEPT.days} days before it was granted"


def _unknown(grant: Mapping[str, Any]) -> Iterator[str]:
    if grant.get("apiVersion") != VERSION:
        yield f"has apiVersion {grant.get('apiVersion')}; valid: {VERSION}"
    for path, known in KEYS.items():
        held = at(grant, *path)
        for key in held if isinstance(held, Mapping) else ():
            if key not in known:
                yield f"has {'.'.join((*path, str(key)))}, which no grant has; valid: {', '.join(known)}"


def _person(value: Any) -> str:
    return re.sub(r"@.*", "", str(value or "").casefold().removeprefix("@"))


def _time(value: Any) -> datetime | None:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else None


RULES: Final = (
    Rule(
        id="FP043",
        name="export-grants",
        why="A profile that leaves the platform is out of reach of retention and audit: two people have to want it, "
        "for a reason, for a while.",
        remediation="Requester and approver differ, and the approver owns exports (metadata.owners of _org.yaml); "
        "team, service, window, format and purpose are named; the window lies within what is kept; it expires within "
        f"{GRANT_DAYS} days of the day it was granted, which is not to come.",
        kinds=("ConfigMap",),
        check=_grants,
        scope="stack",
    ),
)
