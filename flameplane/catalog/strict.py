"""The strict YAML reader: only what every YAML reader understands alike, each value with its place, never a traceback.

YAML as libraries read it loses duplicate keys without a word, turns ``on`` into true and ``12:30`` into 750. What
readers disagree on is refused here with the reason and the fix, so that a file means what it looks like.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from flameplane.catalog.report import Report
from flameplane.catalog.suggest import NOT_FILLED_IN
from flameplane.catalog.text import MAX_BYTES, decode, open_quote, place, runs_on, syntax_error, tab
from flameplane.catalog.tree import Node
from flameplane.findings import Location

MAX_DEPTH = 24  # the models nest 6 deep; guards the recursion below
MAX_DIGITS = 18  # fits a 64-bit integer and a float

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+")
# What YAML 1.1, YAML 1.2 and JSON do not read alike: word, and what it could be taken for.
_AMBIGUOUS = (
    (re.compile(r"(?i)y|n|yes|no|on|off"), "a truth value in YAML 1.1 and text in YAML 1.2"),
    (re.compile(r"[-+]?0[0-9_]+"), "an octal number to some YAML readers and decimal to others"),
    (re.compile(r"(?i)[-+]?0[box][0-9a-f_]+"), "a number to some YAML readers only"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "a base-60 number in YAML 1.1 and text in YAML 1.2"),
    (re.compile(r"(?=[^_]*_)[-+]?[0-9][0-9_]*(\.[0-9_]*)?"), "a number in YAML 1.1 and text in YAML 1.2"),
    (
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+"),
        "a number to some YAML readers and text to others",
    ),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.)"), "a number to some YAML readers and text to others"),
    (re.compile(r"(?i)[-+]?\.inf|\.nan"), "no number that JSON has"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"), "a date to some YAML readers and text to others"),
)


def read(path: Path, name: str, report: Report) -> Node | None:
    """The file as a tree, or None with the reason in ``report``; ``name`` is what findings call the file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        report.add(
            "001", f"cannot be read: {error.strerror or error}", Location(name, 1, 1), fix="Make it a readable file."
        )
        return None
    return parse(data, name, report)


def parse(data: bytes, name: str, report: Report) -> Node | None:
    """Bytes of a file as a tree, or None with the reason in ``report``."""
    text = decode(data, name, report)
    if text is None:
        return None
    if at := tab(text):  # the first; further ones are the same mistake
        report.add("004", "a tab in the indentation", place(text[:at], name))
        return None
    try:
        return _Builder(text, name, report).document()
    except yaml.MarkedYAMLError as error:
        syntax_error(error, text, name, report)
    return None


class _Stop(Exception):
    """The rest of the file is not worth reading; the reason is in the report."""


class _Builder:
    """Builds the tree from the parser's events: only these still tell anchors, tags and quotes apart."""

    def __init__(self, text: str, name: str, report: Report) -> None:
        self.lines = text.splitlines()
        self.name, self.report = name, report
        self.events: Iterator[Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self.shared: list[tuple[str, Location]] = []  # anchors, aliases and merge keys, in order

    def document(self) -> Node | None:
        """The only document of the file."""
        root: Node | None = None
        documents = 0
        try:
            for event in self.events:
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    if documents > 1:  # which of them counts is open, and so is everything else
                        self.report.add("005", "a second document starts here", self._at(event))
                        return None
                    if event.version or event.tags:
                        self.report.add("008", "a directive (%)", Location(self.name, 1, 1), fix="Delete the line.")
                elif isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent):
                    root = self._node(event, None, 0)
        except _Stop:
            return None
        if self.shared:
            (what, at), *others = self.shared
            fix = "" if self.report.kind == "SVC" else "Write the value out."
            self.report.add("007", what, at, fix=fix, related=tuple(place for _, place in others))
        if root is None or root.value is None:
            self.report.add("003", "the file declares nothing", Location(self.name, 1, 1))
            return None
        return None if root.lost else root

    def _at(self, event: Event) -> Location:
        """Place of an event; it ends where its first line ends."""
        start, end = event.start_mark, event.end_mark
        assert start and end  # the C parser sets them always
        line, column = start.line + 1, start.column + 1
        if end.line == start.line:
            return Location(self.name, line, column, max(end.column, column) + 1)
        return Location(self.name, line, column)

    def _node(self, event: Event, key: Location | None, depth: int) -> Node:
        at = self._at(event)
        if depth > MAX_DEPTH:
            self.report.add("002", f"nested more than {MAX_DEPTH} levels deep", at, fix="Flatten it.")
            raise _Stop
        if isinstance(event, AliasEvent):
            self.shared.append((f"an alias (*{event.anchor})", at))
            return Node("", at, key, lost=True)
        tagged = self._refuse_marks(event, at)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event, at, key, in_list=key is None and depth > 0)
            return replace(node, lost=node.lost or tagged)
        report = self.report
        blank = isinstance(event, MappingStartEvent) and self.lines[at.line - 1].startswith("{{", at.column - 1)
        if blank:
            report.add("010", "{{ starts a map whose key is a map", at, fix=NOT_FILLED_IN)
        if tagged or blank:  # what is inside is of another type, too
            self.report = Report(report.kind)
        if isinstance(event, MappingStartEvent):
            node = self._mapping(at, key, depth)
        else:
            assert isinstance(event, SequenceStartEvent)
            node = self._sequence(at, key, depth)
        self.report = report
        return replace(node, lost=tagged or blank)

    def _refuse_marks(self, event: Any, at: Location) -> bool:
        """Anchors and explicit tags; whether there is a tag. What has an anchor is still what it looks like."""
        if event.anchor:
            self.shared.append((f"an anchor (&{event.anchor})", at))
        if event.tag:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.report.add("008", f"a tag ({shown})", at, spoils=True)
        return bool(event.tag)

    def _sequence(self, at: Location, key: Location | None, depth: int) -> Node:
        items = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self._node(event, None, depth + 1))
        return Node(items, Location(self.name, at.line, at.column), key)

    def _mapping(self, at: Location, key: Location | None, depth: int) -> Node:
        items: dict[str, Node] = {}
        unsure = False
        while not isinstance(event := next(self.events), MappingEndEvent):
            key_at = self._at(event)
            name = self._key(event, key_at, depth)
            value = self._node(next(self.events), key_at, depth + 1)
            if name is None:
                unsure = True
                continue
            if name in items:
                first = items[name].key
                assert first
                self.report.add(
                    "006", f'the key "{name}" is written twice, first in line {first.line}', key_at, related=(first,)
                )
                continue
            if value.value is None and value.plain:
                self._no_value(name, key_at)
                value.lost = True
            items[name] = value
        return Node(items, Location(self.name, at.line, at.column), key, unsure=unsure)

    def _key(self, event: Event, at: Location, depth: int) -> str | None:
        """Name of a key, or None when it is no usable one."""
        if not isinstance(event, ScalarEvent):
            self._node(event, None, depth + 1)
            if not isinstance(event, AliasEvent):
                self.report.add("010", "the key is not text", at)
            return None
        self._refuse_marks(event, at)
        if event.implicit[0] and event.value == "<<":
            self.shared.append(("a merge key (<<)", at))
            return None
        if event.implicit[0]:
            for pattern, reading in _AMBIGUOUS:
                if pattern.fullmatch(event.value):
                    fix = f'Write the key that is meant; if it is this very text, quote it: "{event.value}":'
                    self.report.add("009", f"the key {event.value} is {reading}", at, fix=fix)
                    return None
            if not isinstance(_plain(event.value), str):
                self.report.add(
                    "010", f"the key {event.value or '(empty)'} is not text", at, fix=f'Quote it: "{event.value}":'
                )
                return None
        return event.value

    def _scalar(self, event: ScalarEvent, at: Location, key: Location | None, in_list: bool) -> Node:
        text = event.value
        if runs_on(event, self.lines):
            message, quote, fix = open_quote(event, self.name)
            self.report.add("002", message, quote, fix=fix)
            raise _Stop
        if not event.implicit[0]:
            return Node(text, at, key, text)
        for pattern, reading in _AMBIGUOUS:
            if pattern.fullmatch(text):
                self.report.add("009", f"{text} is {reading}", at, fix=_unambiguous(text), spoils=True)
                return Node(text, at, key, text, plain=True, lost=True)
        if len(text) > MAX_DIGITS and (_INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text)):
            self.report.add("009", "a number with so many digits is not read alike everywhere", at, spoils=True)
            return Node(text, at, key, text, plain=True, lost=True)
        value = _plain(text)
        empty = in_list and value is None
        if empty:
            before = self.lines[at.line - 1][: at.column - 1]
            if not text and before.endswith("-"):
                at = Location(self.name, at.line, at.column - 1, at.column)
            self.report.add("011", "an entry without a value", at, fix="Write a value or delete the entry.")
        return Node(value, at, key, text, plain=True, lost=empty)

    def _no_value(self, name: str, key_at: Location) -> None:
        """``key:`` with nothing behind it. A ``#`` behind it is a common slip: the value was read as a comment."""
        line = self.lines[key_at.line - 1] if key_at.line <= len(self.lines) else ""
        rest = line[key_at.column - 1 + len(name) :].strip(" :\"'")
        slip = re.match(r"#[^\s#]\S*", rest)
        fix = f'Quote it, since # starts a comment: {name}: "{slip[0]}"' if slip else ""
        self.report.add("011", f"{name} has no value", key_at, fix=fix)


def _plain(text: str) -> str | int | float | bool | None:
    """A scalar without quotes as YAML 1.2 reads it, as far as all versions agree."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if len(text) <= MAX_DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
    return text


def _unambiguous(text: str) -> str:
    word = text.lower()
    if word in ("y", "yes", "on", "n", "no", "off"):
        return f'Quote it if it is text: "{text}"; else write {"true" if word in ("y", "yes", "on") else "false"}.'
    if re.fullmatch(r"[-+]?[0-9_]+", text) and (digits := text.replace("_", "").lstrip("+-0")):
        return f'Write {digits}, or quote it if it is text: "{text}"'
    if "-" in text[1:] and not re.search("[eE]", text):
        return f'Quote it: "{text}"'
    return f'Quote it if it is text: "{text}"; else write a plain decimal number.'
