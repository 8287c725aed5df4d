"""policies/waivers.yaml read as strictly as other declared files: what YAML readers disagree on is refused.

Every scalar is text here. The pack reads the file, so this needs nothing but PyYAML and the models.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any, Final, get_args

import yaml
from pydantic import ValidationError

from schemas.base import FORMS, UNSEEN, Environment
from schemas.waiver import Place, Problem, Waiver

MAX_BYTES: Final = 200_000
_NONE: Final = "Write `waivers: []` for none."
_KEYS: Final = tuple(Waiver.model_fields)
_NEEDED: Final = tuple(name for name, info in Waiver.model_fields.items() if info.is_required())
_UNSEEN: Final = re.compile(rf"(?![\t\n])[{UNSEEN}]")
# What a scalar without quotes is to YAML, by the end of its tag.
_READ_AS: Final = {
    "timestamp": "a date to some YAML readers and text to others",
    "bool": "a truth value to some YAML readers",
    "int": "a number",
    "float": "a number",
}


class _Refused(Exception):
    """The file is none that could be looked at any further."""

    def __init__(self, message: str, place: Place = (1, 1), fix: str = "") -> None:
        super().__init__(message)
        self.problem = Problem("WVR001", message, place, fix=fix)


@dataclass(frozen=True)
class Entry:
    """A well-formed waiver with the nodes of its values."""

    waiver: Waiver
    nodes: Mapping[str, yaml.Node]


def entries(text: str | bytes, today: date) -> tuple[list[Entry], list[Problem]]:
    """The well-formed waivers of the file, and what is wrong with the others."""
    try:
        reader = _Reader(today)
        return list(reader.entries(_root(_decoded(text)))), reader.problems
    except _Refused as refused:
        return [], [refused.problem]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return [], [Problem("WVR001", f"not valid YAML: {why}", place, fix="Correct the line, or the one above it.")]


def place_of(node: yaml.Node) -> Place:
    """Line and column where a node starts."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def _decoded(text: str | bytes) -> str:
    if len(text) > MAX_BYTES:
        raise _Refused(f"has more than {MAX_BYTES:,} bytes", fix="Delete what does not belong here.")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise _Refused("is not UTF-8", (line, 1), "Save it as UTF-8.") from None
    text = text.replace("\r\n", "\n")
    if found := _UNSEEN.search(text):
        before = text[: found.start()]
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _Refused(f"holds U+{ord(found[0]):04X}, which is not seen", place, "Delete the character.")
    return text


def _root(text: str) -> yaml.Node:
    """The only document. Anchors, aliases and tags are refused before anything is made of them."""
    documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise _Refused("a second document starts here", place, "Write one document.")
        if anchor := getattr(event, "anchor", None):
            what = f"an alias (*{anchor})" if isinstance(event, yaml.AliasEvent) else f"an anchor (&{anchor})"
            raise _Refused(f"{what}: a waiver has to be read where it stands", place, "Write each waiver out.")
        if isinstance(event, yaml.NodeEvent) and (tag := getattr(event, "tag", None)):
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            raise _Refused(f"a tag ({shown})", place, "Delete the tag.")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None or _empty(root):
        raise _Refused("the file declares nothing", fix=_NONE)
    return root


@dataclass
class _Reader:
    """Collects entries and problems of one file."""

    today: date
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, node: yaml.Node, message: str, fix: str = "", valid: Sequence[str] = ()) -> None:
        self.problems.append(Problem("WVR001", message, place_of(node), tuple(valid), fix))

    def entries(self, root: yaml.Node) -> Iterator[Entry]:
        if not isinstance(root, yaml.MappingNode):
            self.refuse(root, "the file has to be a map with the key waivers", "Write the list below `waivers:`.")
            return
        listed: yaml.Node | None = None
        meant = False
        for name, (key, value) in self._map(root).items():
            if name == "waivers":
                listed = value
                continue
            meant = meant or bool(get_close_matches(name.lower(), ["waivers"], 1))
            hint = "; did you mean waivers?" if meant else ""
            self.refuse(key, f"unknown key {name}{hint}", "Write waivers:" if hint else "Delete it.", ("waivers",))
        if listed is None and meant:
            return
        if not isinstance(listed, yaml.SequenceNode):
            self.refuse(listed or root, "waivers has to be a list", _NONE)
            return
        for node in listed.value:
            if not isinstance(node, yaml.MappingNode):
                self.refuse(node, "a waiver has to be a map", "Write its keys below each other.", _KEYS)
            elif waiver := self._waiver(node):
                yield waiver

    def _map(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key and value by name; a key that is written twice is told."""
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = _shown(key.value) if isinstance(key, yaml.ScalarNode) else "(no text)"
            if name in found:
                first = found[name][0].start_mark.line + 1
                self.refuse(key, f"{name} is written twice, first in line {first}", "Keep one of the two.")
            else:
                found[name] = key, value
        return found

    def _waiver(self, node: yaml.MappingNode) -> Entry | None:
        before = len(self.problems)
        pairs = self._map(node)
        meant = self._keys(pairs, node)
        nodes = {meant.get(name, name): value for name, (_, value) in pairs.items() if meant.get(name, name) in _KEYS}
        values = {name: value for name, below in nodes.items() if (value := self._value(name, below)) is not None}
        waiver = self._checked(values, nodes)
        return Entry(waiver, nodes) if waiver and len(self.problems) == before else None

    def _keys(self, pairs: Mapping[str, tuple[yaml.Node, yaml.Node]], node: yaml.Node) -> dict[str, str]:
        """What misspelt keys mean. A key that is missing only because it is misspelt is not told as well."""
        absent = [key for key in _KEYS if key not in pairs]
        missing, unknown = [key for key in _NEEDED if key in absent], [name for name in pairs if name not in _KEYS]
        meant: dict[str, str] = {}
        for name in unknown:
            close = get_close_matches(name.lower(), absent, 1)
            close = close or (missing if len(missing) == len(unknown) == 1 else [])
            hint = f"; did you mean {close[0]}?" if close else ""
            fix = f"Write {close[0]}:" if close else "Delete it."
            self.refuse(pairs[name][0], f"unknown key {name}{hint}", fix, _KEYS)
            if close:
                meant[name] = close[0]
                absent.remove(close[0])
        for key in missing:
            if key in absent:
                self.refuse(node, f"{key} is missing", f"Add: {self._example(key)}")
        return meant

    def _value(self, key: str, node: yaml.Node) -> Any:
        """Text, or a list of texts; None where that is told."""
        if isinstance(node, yaml.SequenceNode):
            found = [self._value(key, below) for below in node.value]
            return None if None in found else found
        fix = f"Write {self._example(key)}"
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(node, f"{key} has to be text", fix)
        elif _empty(node):
            self.refuse(node, f"{key} has no value", fix)
        elif (kind := node.tag.rpartition(":")[2]) != "str":
            reading = _READ_AS.get(kind, "no text to every YAML reader")
            self.refuse(node, f"{key} is {node.value} without quotes, {reading}", f'Quote it: "{node.value}"')
        else:
            return str(node.value)
        return None

    def _checked(self, values: Mapping[str, Any], nodes: Mapping[str, yaml.Node]) -> Waiver | None:
        try:
            waiver = Waiver.model_validate(values)
        except ValidationError as error:
            for found in error.errors():
                if found["type"] not in ("missing", "extra_forbidden"):  # told by `_keys`
                    self._wrong(found, nodes)
            return None
        for i, name in enumerate(waiver.environments or ()):
            if name in (waiver.environments or [])[:i]:
                self.refuse(_entry(nodes["environments"], i), f"{name} is listed twice", "Delete one of the two.")
        return waiver

    def _wrong(self, found: Any, nodes: Mapping[str, yaml.Node]) -> None:
        """One value that the model refuses, in words."""
        key, kind, fix = str(found["loc"][0]), found["type"], f"Write {self._example(str(found['loc'][0]))}"
        node, given = nodes[key], _shown(found["input"])
        if kind == "string_pattern_mismatch":
            self.refuse(node, f"{key} is `{given}`; it has to be {FORMS[found['ctx']['pattern']]}", fix)
        elif kind == "string_too_short":
            fix = "Say why the rule cannot be kept, and what ends that."
            self.refuse(node, f"{key} is `{given}`, which is too short to be judged", fix)
        elif kind == "literal_error":
            valid = get_args(Environment)
            close = get_close_matches(given.lower(), valid, 1)
            fix = f"Write {close[0]}." if close else "Name environments of these."
            self.refuse(_entry(node, int(found["loc"][-1])), f"{given} is no environment", fix, valid)
        elif kind == "too_short":
            fix = "Leave the key out for every environment, or name some."
            self.refuse(node, f"{key} is empty", fix, get_args(Environment))
        elif kind == "list_type":
            self.refuse(node, f"{key} has to be a list", f"Write {key}: [{given}]", get_args(Environment))
        else:
            self.refuse(node, f"{key} has to be text", fix)

    def _example(self, key: str) -> str:
        return {
            "rule": "rule: FP006",
            "target": "target: service/checkout",
            "reason": 'reason: "why the rule cannot be kept, and what ends that"',
            "owner": 'owner: "@jane"',
            "approver": 'approver: "@joe"',
            "expires": f'expires: "{self.today + timedelta(days=30)}"',
            "granted": f'granted: "{self.today}"',
        }.get(key, f"{key}: [prod]")


def _entry(node: yaml.Node, index: int) -> yaml.Node:
    return node.value[index] if isinstance(node, yaml.SequenceNode) else node


def _empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and bool(node.tag.endswith(":null"))


def _shown(value: Any) -> str:
    """A value on one line, and not too long for it."""
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
