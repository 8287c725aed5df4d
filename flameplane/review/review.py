"""A review: everything a change does to one environment, as data. `text` and `markdown` show it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from flameplane.catalog import Loaded, Sources, load, load_grants, load_settings
from flameplane.codeowners import check
from flameplane.cost import Estimate, estimate
from flameplane.findings import Finding, in_order
from flameplane.fingerprint import fingerprints
from flameplane.plan import PackFailed, ProgramFailed, judge, record
from flameplane.plan.recording import Recording
from flameplane.review.base import Base
from flameplane.review.declarations import (
    Declared,
    ImageChange,
    declared_changes,
    image_changes,
    settings_changes,
)
from flameplane.review.grants import grants_changed
from flameplane.review.judges import judges_changed
from flameplane.review.objects import ObjectChange, object_changes
from flameplane.review.openings import openings
from flameplane.review.risks import risks
from flameplane.review.waivers import WaiverChange, waiver_changes
from schemas.settings import Settings

COMMIT: Final = 12  # hex digits that are shown


@dataclass(frozen=True)
class Side:
    """The project at one time: what is declared, what the program makes of it, what the rules say.

    ``problem`` is why ``recording`` or ``findings`` is None. ``absent``: there is no such environment.
    """

    root: Path
    loaded: Loaded
    settings: Settings | None
    settings_sources: Sources
    recording: Recording | None = None
    findings: list[Finding] | None = None
    problem: str = ""
    absent: bool = False


@dataclass(frozen=True)
class Review:
    """``problem``: why something of the base could not be compared; what could be is compared all the same.

    ``recorded``: whether there were objects of the base (or no such environment) to compare with. Where the base was
    not judged, ``uncompared`` holds all findings, and ``new``, ``before`` and ``fixed`` are empty.
    """

    ref: str
    commit: str
    problem: str = ""
    objects: tuple[ObjectChange, ...] = ()
    declared: tuple[Declared, ...] = ()
    images: tuple[ImageChange, ...] = ()
    waivers: tuple[WaiverChange, ...] = ()
    openings: tuple[str, ...] = ()
    new: tuple[Finding, ...] = ()
    before: tuple[Finding, ...] = ()  # there before, and still
    fixed: tuple[Finding, ...] = ()
    cost_before: Estimate | None = None
    cost_after: Estimate | None = field(default=None)
    recorded: bool = True
    judged: bool = True
    uncompared: tuple[Finding, ...] = ()

    @property
    def retention(self) -> tuple[Declared, ...]:
        """Changed retention of teams."""
        return tuple(d for d in self.declared if d.field and "retention" in d.field.path)

    @property
    def nothing(self) -> bool:
        """Whether the change does nothing to this environment, as far as it could be compared."""
        changes = (self.objects, self.declared, self.images, self.waivers, self.openings, self.new, self.fixed)
        return not any(changes)


def side_of(base: Base, stack: str) -> Side:
    """What the base declared and what was found there. Only what could not be read or run is missing."""
    root = base.root
    loaded, settings = load(root), load_settings(root, stack)
    side = Side(root, loaded, settings.settings, settings.sources)
    found = [*settings.findings, *loaded.findings, *load_grants(root, loaded.catalog).findings]
    if not (root / "stacks" / f"Pulumi.{stack}.yaml").is_file():
        text = f"{base.ref} has no stack {stack}: all of it is new"
        return Side(root, loaded, None, settings.sources, None, [], text, absent=True)
    if loaded.catalog is None or settings.settings is None:
        text = f"what {base.ref} declares is refused by today's schemas, first: {_first_error(found)}"
        side = Side(root, loaded, settings.settings, settings.sources, problem=text)
    try:
        recording = record(root, stack)
    except ProgramFailed as error:
        first = error.message.splitlines()[0]
        return Side(root, loaded, settings.settings, settings.sources, problem=side.problem or f"{base.ref}: {first}")
    try:
        # All that is told of the other side too, so that what was there before is not called new.
        files = [f for f in found if f.severity != "error"] + (check(loaded.catalog, root) if loaded.catalog else [])
        findings = in_order([*files, *judge(recording, root, loaded.sources)])
    except PackFailed as error:
        text = f"the policy pack of {base.ref} could not judge it: {str(error).splitlines()[0]}"
        return Side(root, loaded, settings.settings, settings.sources, recording, None, text)
    return Side(root, loaded, settings.settings, settings.sources, recording, findings, side.problem)


def review(base: Base, before: Side, after: Side, stack: str, today: date) -> Review:
    """Compare two sides; ``after`` has been recorded and judged."""
    assert after.recording and after.findings is not None
    objects: Sequence[ObjectChange] = ()
    recorded, judged = before.recording is not None or before.absent, before.findings is not None
    if recorded:
        empty = Recording(after.recording.project, stack, after.recording.organization, {}, ())
        objects = object_changes(before.recording or empty, after.recording, after.loaded.catalog)
    new, still, fixed = _findings(before.findings, after.findings)
    declared = [
        *declared_changes(before.loaded, after.loaded),
        *settings_changes(before.settings, after.settings, stack, after.settings_sources),
    ]
    images, waivers = image_changes(before.root, after.root), waiver_changes(before.root, after.root, stack, today)
    granted = load_grants(before.root, before.loaded.catalog)
    grants = load_grants(after.root, after.loaded.catalog, after.recording.services)
    first = [
        *judges_changed(before.root, after.root),  # what judges first: all else rests on it
        *grants_changed(granted, grants),
        *openings(objects),
        *risks(declared, images, waivers, (before.loaded.catalog, after.loaded.catalog)),
    ]
    return Review(
        base.ref,
        base.commit[:COMMIT],
        before.problem,
        tuple(objects),
        tuple(declared),
        tuple(images),
        tuple(waivers),
        tuple(first),
        new,
        still,
        fixed,
        cost_of(before),
        cost_of(after),
        recorded,
        judged,
        () if judged else tuple(after.findings),
    )


def cost_of(side: Side) -> Estimate | None:
    """The estimate of a side; None where its declarations cannot be read."""
    if side.loaded.catalog is None or side.settings is None:
        return None
    return estimate(side.loaded.catalog, side.settings)


def _findings(before: list[Finding] | None, after: list[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """New, still there, fixed. Where the base was not judged, nobody knows which is which: all are empty."""
    if before is None:
        return (), (), ()
    old, new = dict(zip(fingerprints(before), before, strict=True)), fingerprints(after)
    return (
        tuple(f for mark, f in zip(new, after, strict=True) if mark not in old),
        tuple(f for mark, f in zip(new, after, strict=True) if mark in old),
        tuple(f for mark, f in old.items() if mark not in set(new)),
    )


def _first_error(findings: Sequence[Finding]) -> str:
    """What the schemas refused first; a warning that stands before it refuses nothing."""
    return next((f.message for f in findings if f.severity == "error"), findings[0].message)
