"""One waiver of policies/waivers.yaml, and what can be wrong with it."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.base import Environment, Model, form

FILE: Final = "policies/waivers.yaml"
MAX_DAYS: Final = 90  # a waiver is a debt with a date, no change of the rule

Place = tuple[int, int]  # line and column, from 1
Severity = Literal["error", "warning"]
Day = Annotated[str, form(r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", 'a day in quotes: "2026-12-31"')]
Person = Annotated[str, form(r"^@?[A-Za-z0-9][A-Za-z0-9._@/+-]{1,79}$", "a person or team: @jane or jane@example.com")]
# Titles and fixes of the findings; what is wrong with one waiver is said in the message, often with a better fix.
TEXTS: Final = {
    "WVR001": ("Waiver that cannot be read", "Write it as the head of the file shows."),
    "WVR002": ("Waiver of no rule", "Name a rule of docs/policies.md."),
    "WVR003": ("Rule that cannot be waived", "Fix what the rule found: it is marked so in docs/policies.md."),
    "WVR004": ("Waiver approved by its owner", "Have somebody else approve it."),
    "WVR005": ("Expired waiver", "Fix what it waived, or have it approved anew with another date."),
    "WVR006": ("Waiver for too long", f"Let it expire within {MAX_DAYS} days of the day it was granted."),
    "WVR007": ("Unused waiver", "Delete it: what it waived is fixed, or its target is misspelt."),
    "WVR008": ("Waiver of too much", "Name one object, service or team; `*` only for a part of a URN's name."),
    "WVR009": ("Waiver that expires soon", "Fix what it waives before that day."),
    "WVR010": ("Waiver written twice", "Keep one of the two."),
}
WARNINGS: Final = ("WVR009",)


class Waiver(Model):
    """One waiver. All that a rule finds at ``target`` is noted instead of blocking, until ``expires``, that day too."""

    rule: Annotated[str, form(r"^FP[0-9]{3}$", "the id of a rule: FP006")] = Field(description="Id of the rule.")
    target: str = Field(description="What it is about: see the head of the file.")
    reason: str = Field(min_length=10, description="Why the rule cannot be kept, and what ends that.")
    owner: Person = Field(description="Who sees to it that the waiver ends.")
    approver: Person = Field(description="Who agreed; never the owner.")
    expires: Day = Field(description="Last day on which it holds.")
    granted: Day | None = Field(default=None, description="Day of the approval; absent: today.")
    environments: list[Environment] | None = Field(default=None, min_length=1, description="Absent: every environment.")

    def holds_in(self, stack: str) -> bool:
        """Whether it is about this environment."""
        if self.environments is not None and stack not in self.environments:
            return False
        return not self.target.startswith("urn:") or self.target.split(":")[2] in (stack, "*")

    def __str__(self) -> str:
        return f"until {self.expires}; {self.owner}, approved by {self.approver}: {self.reason}"


@dataclass(frozen=True)
class Problem:
    """What is wrong with the file, and where. ``valid`` is what would do; ``fix`` is better than that of the id."""

    id: str
    message: str
    place: Place
    valid: tuple[str, ...] = ()
    fix: str = ""

    @property
    def severity(self) -> Severity:
        """Only what is still right for some days is a warning."""
        return "warning" if self.id in WARNINGS else "error"

    @property
    def remedy(self) -> str:
        """What to do."""
        return self.fix or TEXTS[self.id][1]

    def __str__(self) -> str:
        """All of it as the pack reports it, which has a text alone; `flameplane.plan.evaluate` reads it back."""
        line, column = self.place
        valid = f"\n  valid: {', '.join(self.valid)}" if self.valid else ""
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{FILE}:{line}:{column}: {self.message}{valid}{fix}"
