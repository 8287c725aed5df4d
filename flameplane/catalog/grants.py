"""Reads exports/, which lies beside services/: who may take which profile out of the platform, and who agreed.

The folder may be missing; nothing may leave then.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from flameplane.catalog.check import examine
from flameplane.catalog.files import ordinary_folder, relative
from flameplane.catalog.report import Report
from flameplane.catalog.strict import read
from flameplane.catalog.suggest import closest
from flameplane.catalog.tree import Node
from flameplane.findings import Finding, Location, in_order
from schemas.allowed import LONGEST_KEPT_DAYS
from schemas.base import NAME
from schemas.catalog import Catalog
from schemas.grant import FOLDER, Grant, written

EXPIRED: Final = "EXP098"
CLOCKS: Final = timedelta(minutes=15)  # by which those of two machines may differ
_NOTES: Final = (".md", ".txt")  # for people
_LISTED: Final = 20  # names that a finding lists


@dataclass(frozen=True)
class LoadedGrants:
    """The grants that nothing is wrong with, sorted by id; what is wrong with the others; the file of each."""

    grants: tuple[Grant, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    places: Mapping[str, Location] = field(default_factory=dict)


def folder_beside(root: Path, services: Path | None = None) -> Path:
    """The folder of the grants that belong to a services tree, by default the project's own."""
    return (services.resolve().parent if services else root.resolve()) / FOLDER


def load_grants(
    root: Path, catalog: Catalog | None, services: Path | None = None, now: datetime | None = None
) -> LoadedGrants:
    """Every grant, checked by itself and against the ``catalog``; without one, by itself alone."""
    root, folder = root.resolve(), folder_beside(root, services)
    here, report = relative(folder, root), Report("EXP")
    if not folder.exists() and not folder.is_symlink():
        return LoadedGrants()
    if not folder.is_dir():
        report.add("040", f"{here} is no folder", Location(here, 1, 1), fix="Make it a folder of grants, or delete it.")
        return LoadedGrants((), report.findings)
    if not ordinary_folder(folder, here, report):
        return LoadedGrants((), report.findings)
    judge = _Judge(catalog, now or datetime.now(UTC), report)
    grants, places = [], {}
    for path in sorted(folder.iterdir()):
        name = relative(path, root)
        if path.name.startswith(".") or path.suffix in _NOTES:
            continue
        if _is_grant(path, name, report) and (grant := _grant(path, name, judge)):
            grants.append(grant)
            places[grant.name] = Location(name, 1, 1)
    return LoadedGrants(tuple(grants), in_order(report.findings), places)


def _is_grant(path: Path, name: str, report: Report) -> bool:
    """Whether it is a file that is read; anything else is told, never ignored in silence."""
    at = Location(name, 1, 1)
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        message = "this is no ordinary file; links would let a grant change without a change here"
        report.add("040", message, at, fix="Replace it by a file.")
    elif path.is_dir() or path.suffix != ".yaml":
        message = f"this has no meaning here; read are {FOLDER}/<id>.yaml"
        fix = f"Rename it to {path.stem}.yaml" if path.suffix == ".yml" else "Move or delete it."
        report.add("040", message, at, fix=fix)
    else:
        return True
    return False


def _grant(path: Path, name: str, judge: "_Judge") -> Grant | None:
    before = len(judge.report.findings)
    tree = read(path, name, judge.report)
    if tree is None or (checked := examine(Grant, tree, judge.report)).model is None:
        return None
    judge(checked.model, checked.tree, checked.knows, path.stem)
    wrong = [f for f in judge.report.findings[before:] if f.severity == "error"]
    return None if wrong or checked.guessed else checked.model


@dataclass(frozen=True)
class _Judge:
    """What a grant alone does not tell: its file's name, what is declared, and what time it is."""

    catalog: Catalog | None
    now: datetime
    report: Report

    def __call__(self, grant: Grant, tree: Node, knows: Callable[..., bool], file: str) -> None:
        def at(*path: str) -> Location:
            return tree.nearest(path).where

        if knows("metadata", "name") and grant.name != file:
            fits = re.fullmatch(NAME, file)
            fix = f"Write {file}" if fits else f"Rename the file to {grant.name}.yaml"
            message = f"metadata.name is {grant.name}, the file is {file}.yaml"
            self.report.add("090", message, at("metadata", "name"), valid=(file,) if fits else (), fix=fix)
        if self.catalog:
            self._declared(grant, self.catalog, at, knows)
        if not knows("metadata", "granted"):
            return
        if grant.granted > self.now + CLOCKS:
            message = f"granted at {written(grant.granted)}, which is still to come"
            valid = (f"at most {written(self.now)}",)
            self.report.add("096", message, at("metadata", "granted"), valid=valid, fix=f'Write "{written(self.now)}"')
        elif knows("spec", "expires") and grant.granted < grant.expires <= self.now:
            message = f"expired at {written(grant.expires)}"
            self.report.add("098", message, at("spec", "expires"), severity="warning")

    def _declared(
        self, grant: Grant, catalog: Catalog, at: Callable[..., Location], knows: Callable[..., bool]
    ) -> None:
        spec, owners = grant.spec, catalog.organisation.metadata.owners
        if knows("spec", "approver") and spec.approver not in owners:
            message = f"{spec.approver} owns no exports: that is {_listed(owners) or 'nobody, as _org.yaml names none'}"
            fix = "" if owners else "Add metadata.owners to services/_org.yaml."
            self.report.add("092", message, at("spec", "approver"), valid=tuple(owners), fix=fix)
        if not (knows("spec", "team") and knows("spec", "service")):
            return
        teams = {team.name: team for team in catalog.teams}
        home = next((s.team for s in catalog.services if s.name == spec.service), None)
        if home and home != spec.team:
            message = f"{spec.service} is a service of {home}, not of {spec.team}"
            self.report.add("094", message, at("spec", "team"), valid=(home,), fix=f"Write {home}")
        elif spec.team not in teams:
            self._unknown("team", spec.team, sorted(teams), at("spec", "team"))
        elif not home:
            known = [service.name for service in catalog.of_team(spec.team)]
            self._unknown("service", spec.service, known, at("spec", "service"), f" of {spec.team}")
        else:
            self._kept(grant, teams[home].spec.retention.downsampled_days, at, knows)

    def _unknown(self, what: str, name: str, known: Sequence[str], place: Location, of: str = "") -> None:
        guess = closest(name, known)
        valid = tuple(known) if len(known) <= _LISTED else ()
        fix = f"Did you mean {guess}?" if guess else ""
        self.report.add("094", f"there is no {what} {name}{of}", place, valid=valid, fix=fix)

    def _kept(self, grant: Grant, days: int, at: Callable[..., Location], knows: Callable[..., bool]) -> None:
        """The window begins where something was kept when it was asked for."""
        if not (knows("metadata", "granted") and knows("spec", "window", "from")):
            return
        days = min(days, LONGEST_KEPT_DAYS)  # the rest is the time that deletion takes
        (start, _), first = grant.window, grant.granted - timedelta(days)
        if start < first:
            message = (
                f"the window begins at {written(start)}; {grant.spec.team} keeps {days} days, so that nothing is left"
            )
            valid = (f"from {written(first)}",)
            self.report.add("095", message, at("spec", "window", "from"), valid=valid)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)
