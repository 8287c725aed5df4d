"""Questions to an audit log: who read what of whom, and who was refused."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flameplane.access.chain import Line

OK = 200


@dataclass(frozen=True)
class Question:
    """What is looked for; empty matches everything. Times are of the request's start."""

    who: str = ""  # name, subject, service account or repository; a part of it will do
    tenant: str = ""
    service: str = ""
    operation: str = ""
    refused: bool | None = None
    exports: bool = False
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is one of those."""
        more, user = record.get("unmapped") or {}, (record.get("actor") or {}).get("user") or {}
        names = (user.get("name"), user.get("uid"), more.get("account"), more.get("repository"))
        when = moment(record)
        return (
            "action_id" in record
            and (not self.who or any(self.who in str(name) for name in names if name))
            and (not self.tenant or more.get("tenant") == self.tenant)
            # A question about all services of a tenant is one about each of them.
            and (not self.service or self.service in (more.get("services") or [self.service]))
            and (not self.operation or more.get("operation") == self.operation)
            and (self.refused is None or (record.get("action_id") == 2) == self.refused)
            and (not self.exports or bool(more.get("grant") and record.get("status_code") == OK))
            and (self.since is None or when >= self.since)
            and (self.until is None or when < self.until)
        )


def moment(record: Mapping[str, Any]) -> datetime:
    """When a request began."""
    return datetime.fromtimestamp(float(record.get("time") or 0) / 1000, UTC)


def told(line: Line) -> str:
    """One record on one line."""
    record, more = line.record, line.record.get("unmapped") or {}
    user = (record.get("actor") or {}).get("user") or {}
    who = user.get("name") or more.get("account") or "nobody"
    what = " ".join(_what(more))
    how = "allowed" if record.get("action_id") == 1 else "refused"
    reason = f": {record['status_detail']}" if record.get("status_detail") else ""
    when = moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    source = (record.get("src_endpoint") or {}).get("ip", "?")
    text = f"{when} {line.replica}/{line.seq} {who} ({source}) {what} {how} by {more.get('rule', '?')}{reason}"
    return printable(text)


def printable(text: str) -> str:
    """A text without what moves the cursor or begins a line: most of a record is what a caller sent."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _what(more: Mapping[str, Any]) -> Iterator[str]:
    yield str(more.get("operation") or "?")
    if more.get("tenant"):
        yield f"of {more['tenant']}"
    if more.get("services"):
        yield f"service {', '.join(more['services'])}"
    for key, word in (("profile_type", "type"), ("format", "as"), ("grant", "by grant")):
        if more.get(key):
            yield f"{word} {more[key]}"
