"""policies/waivers.yaml: for whom, for how long and why a rule of the policy pack does not block.

Read by the pack itself and by `flameplane validate`, so both say the same. A waiver with any mistake waives nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from schemas.waiver import FILE, MAX_DAYS, TEXTS, WARNINGS, Place, Problem, Waiver
from schemas.waiver_file import Entry, entries, place_of

__all__ = ["FILE", "MAX_DAYS", "SOON_DAYS", "TEXTS", "WARNINGS", "Place", "Problem", "Waiver", "Waivers", "read"]

SOON_DAYS: Final = 14
# URN of one resource, `service/checkout`, or `Kind/name`, `Kind/namespace/name` of an object.
_URN: Final = re.compile(r"urn:pulumi:[^:]+::[^:]+::[^:]+(:[^:]+)*::(?=[^:]*[A-Za-z0-9]{3})[^:\s][^\s]*")
_OBJECT: Final = re.compile(r"[A-Za-z][A-Za-z0-9:/_.-]*/[A-Za-z0-9][A-Za-z0-9:._-]*")
_TARGETS: Final = ("Kind/namespace/name", "Kind/name", "service/<name>", "team/<name>", "urn:pulumi:…")


@dataclass(frozen=True)
class Waivers:
    """The file: the waivers that hold today, each with the place of its rule, and what is wrong with the others."""

    live: tuple[tuple[Waiver, Place], ...] = ()
    problems: tuple[Problem, ...] = ()


def read(text: str | bytes, rules: Mapping[str, bool] | None, today: date) -> Waivers:
    """The waivers in ``text`` and what is wrong with them; ``rules`` says of each rule whether it can be waived,
    None that it is not known here."""
    found, problems = entries(text, today)
    live: list[tuple[Waiver, Place]] = []
    for entry in found:
        at = place_of(entry.nodes["rule"])
        wrong = list(_judge(entry, rules, today))
        if twin := next((place for other, place in live if _overlap(entry.waiver, other)), None):
            wrong.append(Problem("WVR010", f"the waiver in line {twin[0]} is of the same rule and target", at))
        problems += wrong
        if all(problem.severity == "warning" for problem in wrong):
            live.append((entry.waiver, at))
    return Waivers(tuple(live), tuple(sorted(problems, key=lambda p: (p.place, p.id))))


def _overlap(one: Waiver, two: Waiver) -> bool:
    """Whether both are of the same rule and target in some environment."""
    if (one.rule, one.target) != (two.rule, two.target):
        return False
    return one.environments is None or two.environments is None or bool({*one.environments} & {*two.environments})


def _judge(entry: Entry, rules: Mapping[str, bool] | None, today: date) -> Iterator[Problem]:
    """What is wrong with a well-formed waiver, whatever the environment holds."""
    waiver = entry.waiver

    def problem(number: str, key: str, message: str, fix: str = "", valid: tuple[str, ...] = ()) -> Problem:
        return Problem(f"WVR{number}", message, place_of(entry.nodes[key]), valid, fix)

    if rules is None:
        pass
    elif waiver.rule not in rules:
        can = tuple(sorted(rule for rule, waivable in rules.items() if waivable))
        yield problem("002", "rule", f"there is no rule {waiver.rule}", valid=can)
    elif not rules[waiver.rule]:
        yield problem("003", "rule", f"{waiver.rule} cannot be waived")
    if _person(waiver.owner) == _person(waiver.approver):
        yield problem("004", "approver", f"{waiver.approver} approves a waiver that is their own")
    if not (_URN if waiver.target.startswith("urn:") else _OBJECT).fullmatch(waiver.target):
        yield problem("008", "target", f"{waiver.target} names no one object, service or team", valid=_TARGETS)
    days = {key: _day(text) for key in ("granted", "expires") if (text := getattr(waiver, key))}
    for key, day in days.items():
        if day is None:
            fix = "Write a day of the calendar."
            yield problem("001", key, f"{key} is `{getattr(waiver, key)}`, which is no day", fix)
    granted, expires = days.get("granted", today), days["expires"]
    if granted is None or expires is None:
        return
    last = granted + timedelta(days=MAX_DAYS)
    what = f"{waiver.rule} at {waiver.target}"
    if granted > today:  # what that makes of the last day follows from it
        fix = "Write the day of the approval, or leave it out."
        yield problem("006", "granted", f"granted {granted}, which is still to come", fix, (f"{today} or before",))
    elif expires < today:
        yield problem("005", "expires", f"expired on {expires}: {waiver.rule} blocks again at {waiver.target}")
    elif expires > last:
        message = f"expires {expires}, more than {MAX_DAYS} days on; {last} at the latest"
        yield problem("006", "expires", message, valid=(f"{today} to {last}",) if last >= today else ())
    elif (left := (expires - today).days) <= SOON_DAYS:
        when = f"for {left} more day{'' if left == 1 else 's'}" if left else "until the end of today"
        yield problem("009", "expires", f"{what} is waived {when}")


def _person(text: str) -> str:
    """Who is meant, however it is written."""
    return text.casefold().removeprefix("@").partition("@")[0]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
