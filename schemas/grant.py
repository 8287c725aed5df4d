"""exports/<id>.yaml v1: a grant. Two people agree that one profile may leave the platform, once.

The gateway reads the same form (dataplane/internal/settings/grant.go), and rule FP043 judges it once more: what leaves
is out of reach of retention and audit.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas.allowed import GRANT_DAYS
from schemas.base import UNSEEN, ApiVersion, Conflict, Model, Name, form, means, refuse
from schemas.forms import CodeOwner

FOLDER: Final = "exports"
PURPOSE: Final = (3, 15)  # words and characters, at least: less could be said of any export
_NO_PERSON: Final = r"\s@*,;/${}<>%\"\\"  # several people, everybody, or something to be filled in
_PATTERN: Final = "%Y-%m-%dT%H:%M:%SZ"
_FORMATS: Final = means(
    pprof="What `go tool pprof` and most other programs read.",
    tree="The backend's own tree of stacks.",
    dot="A call graph for Graphviz.",
)


def moment(text: str) -> datetime | None:
    """The time that a text stands for; None for one that no calendar has."""
    try:
        return datetime.strptime(text, _PATTERN).replace(tzinfo=UTC)
    except ValueError:
        return None


def written(time: datetime) -> str:
    """A time as grants have it; the reverse of `moment`."""
    return time.astimezone(UTC).strftime(_PATTERN)


def person(text: str) -> str:
    """Who is meant, however it is written: @jane is jane@example.com."""
    return text.casefold().removeprefix("@").partition("@")[0]


def _of_the_calendar(text: str) -> str:
    if moment(text) is None:
        refuse([Conflict("097", (), f"{text} is no time of the calendar")])
    return text


Time = Annotated[
    str,
    form(
        r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$",
        'a time in UTC, in quotes: "2026-11-20T09:00:00Z"',
    ),
    AfterValidator(_of_the_calendar),
]
Requester = Annotated[
    str,
    form(
        rf"^[^{_NO_PERSON}{UNSEEN}]+(@[^{_NO_PERSON}{UNSEEN}]+)?$",
        "one person as the identity provider names them: jane@example.com",
    ),
]
Purpose = Annotated[
    str,
    form(
        rf"^[^\s{UNSEEN}]([^\r\n{UNSEEN}]*[^\s{UNSEEN}])?$",
        "text in one line, without blanks at its ends and characters that are not seen",
    ),
]


class GrantMetadata(Model):
    """Which grant it is."""

    name: Name = Field(
        description="Id of the grant, and name of the file: what the requester shows to the gateway, what the audit "
        "and the profile that leaves say. Never one that was used before.",
        examples=["2026-11-20-checkout"],
    )
    granted: Time = Field(
        description="When it was asked for; it is not good before.", examples=["2026-11-20T09:00:00Z"]
    )


class Window(Model):
    """From when to when the exported profile may be."""

    from_: Time = Field(alias="from", description="Start.", examples=["2026-11-20T08:00:00Z"])
    to: Time = Field(description="End; at most when the grant expires.", examples=["2026-11-20T08:30:00Z"])


class GrantSpec(Model):
    """Who may take what, until when, and why."""

    requester: Requester = Field(
        description="Who may take the profile: mail address, user name or subject of their token. They also have to "
        "read the team's profiles.",
        examples=["jane@example.com"],
    )
    approver: CodeOwner = Field(
        description="Who answers for it: one of metadata.owners of _org.yaml, who own exports/ in CODEOWNERS and "
        "approve the pull request. Never the requester.",
        examples=["@acme/platform"],
    )
    team: Name = Field(description="Team whose tenant is read, fine or downsampled.", examples=["payments"])
    service: Name = Field(description="The one service of that team.", examples=["checkout"])
    format: Literal["pprof", "tree", "dot"] = Field(
        description="Form in which the profile leaves.", json_schema_extra=_FORMATS
    )
    purpose: Purpose = Field(
        description=f"What it is for, where it goes, and who sees it there: {PURPOSE[0]} words at least.",
        examples=["Postmortem 4711: the JDK's vendor looks at a lock in their collector"],
    )
    window: Window = Field(description="From when to when the exported profile may be.")
    expires: Time = Field(
        description=f"Until when it can be used, at most {GRANT_DAYS} days after it was granted.",
        examples=["2026-11-23T09:00:00Z"],
    )


class Grant(Model):
    """exports/<id>.yaml, version 1: one profile may leave the platform, once."""

    api_version: ApiVersion = Field(description="Version of this format.", examples=["flameplane.dev/v1"])
    kind: Literal["ExportGrant"] = Field(description="This file is a grant.", examples=["ExportGrant"])
    metadata: GrantMetadata = Field(description="Which grant it is.")
    spec: GrantSpec = Field(description="Who may take what, until when, and why.")

    @property
    def name(self) -> str:
        """Its id."""
        return self.metadata.name

    @property
    def granted(self) -> datetime:
        """From when it is good."""
        return _moment(self.metadata.granted)

    @property
    def expires(self) -> datetime:
        """Until when it is good."""
        return _moment(self.spec.expires)

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Start and end of what may be taken."""
        return _moment(self.spec.window.from_), _moment(self.spec.window.to)

    @model_validator(mode="after")
    def _two_people_for_a_reason(self) -> "Grant":
        spec = self.spec
        conflicts = []
        if person(spec.requester) == person(spec.approver):
            message = f"{spec.approver} approves what {spec.requester} asks for: that is one person"
            conflicts.append(Conflict("091", ("spec", "approver"), message, (), ("spec", "requester")))
        words, characters = PURPOSE
        if len(spec.purpose.split()) < words or len(spec.purpose) < characters:
            message = f'spec.purpose is "{spec.purpose}", by which nobody could judge it'
            conflicts.append(Conflict("093", ("spec", "purpose"), message))
        refuse([*conflicts, *self._times()])
        return self

    def _times(self) -> list[Conflict]:
        start, end = self.window
        ends, granted, until = ("spec", "window", "to"), ("metadata", "granted"), ("spec", "expires")
        last = self.granted + timedelta(GRANT_DAYS)
        found = []
        if start >= end:
            message = f"the window ends at {written(end)}, not after its start ({written(start)})"
            found.append(Conflict("095", ends, message, (), ("spec", "window", "from")))
        elif end > self.expires:
            message = f"the window ends at {written(end)}, after the grant itself ({written(self.expires)})"
            found.append(Conflict("095", ends, message, (f"at most {written(self.expires)}",), until))
        if not self.granted < self.expires <= last:
            how = "before it begins" if self.expires <= self.granted else f"more than {GRANT_DAYS} days later"
            message = f"granted at {written(self.granted)}, it expires {how} ({written(self.expires)})"
            found.append(Conflict("096", until, message, (f"at most {written(last)}",), granted))
        return found


def _moment(text: str) -> datetime:
    found = moment(text)
    assert found, text  # the field's validator refuses what is none
    return found
