"""policies/waivers.yaml: for whom, for how long and why a rule of the policy pack does not block.

Read by the pack itself and by `flameplane validate`, so both say the same. Every scalar is text here, dates with or
without quotes. A waiver with any mistake waives nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, ValidationError

from schemas.base import FORMS, Environment, Model, form

FILE: Final = "policies/waivers.yaml"
MAX_DAYS: Final = 90  # a waiver is a debt with a date, no change of the rule
SOON_DAYS: Final = 14
MAX_BYTES: Final = 200_000

Place = tuple[int, int]  # line and column, from 1
Severity = Literal["error", "warning"]
Day = Annotated[str, form(r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", "a day: 2026-12-31")]
Person = Annotated[str, form(r"^@?[A-Za-z0-9][A-Za-z0-9._@/+-]{1,79}$", "a person or team: @jane or jane@example.com")]
# Titles and fixes of the findings; what is wrong with one waiver is said in the message.
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
# URN of one resource, `service/checkout`, or `Kind/name`, `Kind/namespace/name` of an object.
_URN: Final = re.compile(r"urn:pulumi:[^:]+::[^:]+::[^:]+(:[^:]+)*::(?=[^:]*[A-Za-z0-9]{3})[^:\s][^\s]*")
_OBJECT: Final = re.compile(r"[A-Za-z][A-Za-z0-9:/_.-]*/[A-Za-z0-9][A-Za-z0-9:._-]*")


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
    """What is wrong with the file, and where."""

    id: str
    message: str
    place: Place

    @property
    def severity(self) -> Severity:
        """Only what is still right for some days is a warning."""
        return "warning" if self.id in WARNINGS else "error"

    def __str__(self) -> str:
        line, column = self.place
        return f"{FILE}:{line}:{column}: {self.message}"


@dataclass(frozen=True)
class Waivers:
    """The file: the waivers that hold today, each with the place of its rule, and what is wrong with the others."""

    live: tuple[tuple[Waiver, Place], ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass
class _Reader:
    """Collects entries and problems of one file."""

    problems: list[Problem] = field(default_factory=list)

    def refuse(self, node: yaml.Node, message: str, problem: str = "WVR001") -> None:
        self.problems.append(Problem(problem, message, _place(node)))

    def entries(self, root: yaml.Node | None) -> Iterator[tuple[Waiver, Mapping[str, yaml.Node]]]:
        if root is None:
            return
        top = self._map(root, "the file")
        for key, node in top.items():
            if key != "waivers":
                self.refuse(node, f"unknown key {key}; the file has one key, waivers")
        listed = top.get("waivers")
        if listed is None or not isinstance(listed, yaml.SequenceNode):
            self.refuse(listed or root, "waivers has to be a list; write `waivers: []` for none")
            return
        for node in listed.value:
            before = len(self.problems)
            nodes = self._map(node, "a waiver")
            values = {key: self._value(key, below) for key, below in nodes.items()}
            if len(self.problems) == before and nodes and (waiver := self._checked(values, nodes, node)):
                yield waiver, nodes

    def _map(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.refuse(node, f"{what} has to be a map")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                self.refuse(key, f"{name} is written twice")
            found[name] = value
        return found

    def _value(self, key: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self._value(key, below) for below in node.value]
        if isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:null":
            return str(node.value)
        self.refuse(node, f"{key} has to be text")
        return None

    def _checked(self, values: Mapping[str, Any], nodes: Mapping[str, yaml.Node], node: yaml.Node) -> Waiver | None:
        try:
            return Waiver.model_validate(values)
        except ValidationError as error:
            for found in error.errors():
                key = str(found["loc"][0])
                at, kind = nodes.get(key, node), found["type"]
                if kind == "missing":
                    self.refuse(at, f"{key} is missing")
                elif kind == "extra_forbidden":
                    valid = ", ".join(Waiver.model_fields)
                    self.refuse(at, f"unknown key {key}; a waiver has {valid}")
                elif kind == "string_pattern_mismatch":
                    words = FORMS.get(found["ctx"]["pattern"], "of another form")
                    self.refuse(at, f"{key} is `{found['input']}`; it has to be {words}")
                else:
                    self.refuse(at, f"{key}: {found['msg'].lower()}")
        return None


def read(text: str, rules: Mapping[str, bool] | None, today: date) -> Waivers:
    """The waivers in ``text`` and what is wrong with them; ``rules`` says of each rule whether it can be waived,
    None that it is not known here."""
    reader = _Reader()
    try:
        if len(text) > MAX_BYTES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_BYTES} characters")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise yaml.MarkedYAMLError(problem="an alias; write each waiver out")
        entries = list(reader.entries(yaml.compose(text, Loader=yaml.SafeLoader)))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error)
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Waivers((), (Problem("WVR001", f"not valid: {why}", place),))
    live: list[tuple[Waiver, Place]] = []
    seen: dict[tuple[str, str, tuple[str, ...]], Place] = {}
    for waiver, nodes in entries:
        found = list(_judge(waiver, nodes, rules, today))
        at = _place(nodes["rule"])
        key = (waiver.rule, waiver.target, tuple(waiver.environments or ()))
        if key in seen:
            found.append(Problem("WVR010", f"the same as the waiver in line {seen[key][0]}", at))
        seen.setdefault(key, at)
        reader.problems += found
        if all(problem.severity == "warning" for problem in found):
            live.append((waiver, at))
    return Waivers(tuple(live), tuple(sorted(reader.problems, key=lambda p: (p.place, p.id))))


def _judge(
    waiver: Waiver, nodes: Mapping[str, yaml.Node], rules: Mapping[str, bool] | None, today: date
) -> Iterator[Problem]:
    """What is wrong with a well-formed waiver, whatever the environment holds."""

    def problem(number: str, key: str, message: str) -> Problem:
        return Problem(f"WVR{number}", message, _place(nodes[key]))

    if rules is None:
        pass
    elif waiver.rule not in rules:
        yield problem("002", "rule", f"there is no rule {waiver.rule}")
    elif not rules[waiver.rule]:
        yield problem("003", "rule", f"{waiver.rule} cannot be waived")
    if _person(waiver.owner) == _person(waiver.approver):
        yield problem("004", "approver", f"{waiver.approver} approves a waiver that is their own")
    if not (_URN if waiver.target.startswith("urn:") else _OBJECT).fullmatch(waiver.target):
        yield problem("008", "target", f"{waiver.target} names no one object, service or team")
    days = {key: _day(text) for key in ("granted", "expires") if (text := getattr(waiver, key))}
    for key, day in days.items():
        if day is None:
            yield problem("001", key, f"{key} is `{getattr(waiver, key)}`, which is no day")
    granted, expires = days.get("granted", today), days["expires"]
    if granted is None or expires is None:
        return
    if granted > today:
        yield problem("006", "granted", f"granted {granted}, which is still to come")
    if expires < today:
        yield problem("005", "expires", f"expired on {expires}: {waiver.rule} blocks again at {waiver.target}")
    elif expires > min(granted, today) + timedelta(days=MAX_DAYS):
        last = min(granted, today) + timedelta(days=MAX_DAYS)
        yield problem("006", "expires", f"expires {expires}, more than {MAX_DAYS} days on; {last} at the latest")
    elif expires - today <= timedelta(days=SOON_DAYS):
        left = (expires - today).days
        yield problem("009", "expires", f"{waiver.rule} at {waiver.target} is waived for {left} more days")


def _person(text: str) -> str:
    """Who is meant, however it is written."""
    return text.casefold().removeprefix("@").partition("@")[0]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1
