"""One error of pydantic's as a finding: which rule, where, what is valid, what to do."""

import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from flameplane.catalog import shape, standin
from flameplane.catalog.report import Report
from flameplane.catalog.suggest import NOT_FILLED_IN, closest, lookalike, placeholder, reformed
from flameplane.catalog.tree import Node, Path
from flameplane.findings import Location
from schemas.base import FORMS, Conflict, CrossFieldError

_TYPES = {
    "int_type",
    "int_from_float",
    "float_type",
    "string_type",
    "bool_type",
    "list_type",
    "dict_type",
    "model_type",
}
_BOUNDS = {
    "greater_than": ("gt", "has to be more than"),
    "greater_than_equal": ("ge", "has to be at least"),
    "less_than": ("lt", "has to be less than"),
    "less_than_equal": ("le", "has to be at most"),
}


@dataclass(frozen=True)
class Known:
    """What is known before an error is looked at; ``only``, ``guessed`` and ``unsure`` as above."""

    only: str | None
    guessed: tuple[Path, ...]
    unsure: frozenset[Path]


class Mistake:
    """One error of pydantic's and what there is to say about it."""

    def __init__(self, model: type[BaseModel], error: ErrorDetails, root: Node, report: Report, known: Known) -> None:
        self.model, self.error, self.root, self.report, self.known = model, error, root, report, known
        self.context: dict[str, Any] = error.get("ctx", {})
        self.path, self.annotation = shape.resolve(model, error["loc"])
        self.node = root.nearest(self.path)
        self.label = report.show(self.path)

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """What does not agree, if that is the mistake, with paths from the root of the file."""
        error = self.context.get("error")
        found = error.conflicts if isinstance(error, CrossFieldError) else ()
        return tuple(
            c._replace(
                path=(*self.path, *c.path),
                because=(*self.path, *c.because) if c.because else (),
                reads=tuple((*self.path, *path) for path in c.reads),
            )
            for c in found
        )

    @property
    def wrong(self) -> list[Path]:
        """The paths of the values at fault."""
        return [c.path for c in self.conflicts] or [self.path]

    @property
    def empties(self) -> set[Path]:
        """The map that holds nothing, if that is why something is missing in it: all of it is one mistake."""
        owner = self.path[:-1] if self.error["type"] == "missing" else self.path
        return {owner} if self.root.nearest(owner).value == {} else set()

    @property
    def _tag_key(self) -> str:
        members = shape.models(self.annotation)
        return (shape.tag_key(members[0]) if members else None) or "name"

    def tell(self) -> None:
        """Report it under the rule that fits, unless a stand-in takes part in it."""
        what = self.error["type"]
        if self.conflicts:
            self._conflicts()
        elif self._doubtful(self.path) or (what == "too_short" and self.path in self.known.unsure):
            return
        elif what == "missing":
            self._missing(self.path)
        elif what == "union_tag_not_found":
            self._missing((*self.path, self._tag_key))
        elif what == "union_tag_invalid":
            valid = tuple(t for m in shape.models(self.annotation) if (t := shape.tag(m)))
            name = self.root.nearest((*self.path, self._tag_key))
            asked = str(self.path[-1]) if self._tag_key == "name" else f"{self._tag_key} of {self.label}"
            self._not_allowed(f"unknown {asked} {_shown(name)}", name.at, name.value, valid)
        elif what == "literal_error":
            valid = tuple(str(v) for v in typing.get_args(self.annotation))
            self._not_allowed(f"{self.label} is {_shown(self.node)}", self.node.where, self.node.value, valid)
        elif what in _BOUNDS:
            bound, words = _BOUNDS[what]
            self._add(
                "024",
                f"{self.label} is {_shown(self.node)}; it {words} {_number(self.context[bound])}",
                valid=self._range(),
            )
        elif what in ("string_pattern_mismatch", "string_too_short"):
            self._form()
        elif what == "too_short":
            info = shape.info_at(self.model, self.path)
            needed = "List at least one entry." if info and info.is_required() else ""
            self._add("026", f"{self.label} is empty", fix=needed)
        else:
            self._type(self.error["msg"] if what not in _TYPES and what != "model_attributes_type" else "")

    def _add(self, number: str, message: str, at: Location | None = None, **more: Any) -> None:
        at = at or self.node.where
        if self.known.only in (None, at.file):
            self.report.add(number, message, at, **more)

    def _doubtful(self, path: Path) -> bool:
        """Whether it is a stand-in, or may stand under a key that nobody understands."""
        return standin.covered(path, self.known.guessed) or standin.hidden(self.root, path, self.known.unsure)

    def _conflicts(self) -> None:
        for conflict in self.conflicts:
            paths = (conflict.path, *([conflict.because] if conflict.because else []), *conflict.reads)
            if any(map(self._doubtful, paths)):
                continue
            because = self.root.find(conflict.because) if conflict.because else None
            at = self.root.nearest(conflict.path).where
            self.report.add(
                conflict.rule,
                conflict.message,
                at,
                valid=tuple(shape.inline(v) for v in conflict.valid),
                related=(because.where,) if because and because.where != at else (),
            )

    def _missing(self, path: Path) -> None:
        """Point at the key that should hold it, and show what to write."""
        if self._doubtful(path):
            return
        owner = self.root.nearest(path[:-1])
        if path[:-1] in self.empties:
            example = self._required(path[:-1])
            message = f"{self.report.show(path[:-1])} is empty: {_listed(example)} missing"
            fix = "Add:\n" + self.report.snippet(path[:-1], example) if len(path) > 1 else ""
            self._add("021", message, owner.where, fix=fix)
            return
        info = shape.info_at(self.model, path)
        value = _of_folder(owner.where.file, path) or (shape.example(info) if info else None)
        fix = "Add:\n" + self.report.snippet(path, value)
        self._add("021", f"{self.report.show(path)} is missing", owner.where, fix=fix)

    def _required(self, path: Path) -> dict[str, Any]:
        """The keys that a map has to have, each with an example; of a union, the one that tells its members apart."""
        members = shape.models(shape.follow(self.model, path))
        if len(members) > 1:
            return {self._tag_key: shape.tag(members[0])}
        file = self.root.where.file
        needed = {k: info for k, info in shape.fields(members[0]).items() if info.is_required()}
        return {k: _of_folder(file, (*path, k)) or shape.example(info) for k, info in needed.items()}

    def _not_allowed(self, message: str, at: Location, value: Any, valid: tuple[str, ...]) -> None:
        guess = closest(str(value), valid)
        self._add(
            "023",
            f"{message}; one of {', '.join(valid)}",
            at,
            valid=valid,
            fix=f"Did you mean {guess}?" if guess else "",
        )

    def _range(self) -> tuple[str, ...]:
        """Both ends of the range, if it has two."""
        info = shape.info_at(self.model, self.path)
        ends = {k: getattr(m, k) for m in (info.metadata if info else []) for k in ("ge", "le") if hasattr(m, k)}
        return (f"{ends['ge']} to {ends['le']}",) if len(ends) == 2 else ()

    def _form(self) -> None:
        if self.error["type"] == "string_too_short":
            self._add("025", f"{self.label} is empty")
            return
        pattern = self.context["pattern"]
        is_key = self.error["loc"][-1] == "[key]"
        value = str(self.path[-1] if is_key else self.node.value)
        at = (self.node.key if is_key else None) or self.node.where
        label = (
            f'the key "{_cut(value)}" of {self.report.show(self.path[:-1])}'
            if is_key
            else f'{self.label} is "{_cut(value)}"; it'
        )
        guess = reformed(value, pattern)
        fix = f"Write {shape.inline(guess)}" if guess else ""
        if placeholder(value):
            fix = NOT_FILLED_IN
        elif not guess and (strange := lookalike(value)):
            fix = f"Type it anew: {strange} is U+{ord(strange):04X}, no letter of ASCII."
        self._add("025", f"{label} has to be {FORMS.get(pattern, pattern)}", at, fix=fix)

    def _type(self, reason: str) -> None:
        wanted = shape.kind(self.annotation)
        fix, text = "", self.node.text
        key = str(self.path[-1]) if self.path else ""
        if placeholder(text):
            fix = NOT_FILLED_IN
        elif wanted == "text" and self.node.plain:
            fix = self._quoted(text)
        elif (
            wanted in ("a whole number", "a number")
            and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text)
            and not self.node.plain
        ):
            fix = f"Write it without quotes: {text}"
        elif wanted == "a whole number" and isinstance(self.node.value, float) and self.node.value.is_integer():
            fix = f"Write {int(self.node.value)}"
        elif wanted == "a list" and text:
            fix = f"Write it as a list: {key}: [{shape.inline(self.node.value)}]"
        elif len(shape.models(self.annotation)) > 1 and text:
            fix = f"Write {key}: {{{self._tag_key}: {text}}}"
        self._add("022", f"{self.label} is {_shown(self.node)}; it has to be {reason or wanted}", fix=fix)

    def _quoted(self, text: str) -> str:
        """What to do about a number where there has to be text: quotes alone may not give it the form it needs."""
        info = shape.info_at(self.model, self.path)
        pattern = next((p for m in (info.metadata if info else []) if (p := getattr(m, "pattern", None))), None)
        if pattern and not re.fullmatch(pattern, text) and (guess := reformed(text, pattern)):
            return f"Write {shape.inline(guess)}"
        return f'Quote it: "{text}"'


def _of_folder(file: str, path: Path) -> str:
    """What a file has to say because of the folders it lies in: services/<team>/<service>/service.yaml and
    services/<team>/_team.yaml; empty for all else."""
    *_, team, folder, name = ("", "", *file.split("/"))
    found: dict[tuple[str, Path], str] = {
        ("service.yaml", ("metadata", "team")): team,
        ("service.yaml", ("metadata", "name")): folder,
        ("_team.yaml", ("metadata", "name")): folder,
    }
    return found.get((name, path), "")


def _shown(node: Node) -> str:
    match node.value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case str():
            return f'"{_cut(node.value)}"'
        case _:
            return node.text or str(node.value)


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last} are" if others else f"{last} is"


def _cut(text: str) -> str:
    text = text.replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
