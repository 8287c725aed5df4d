"""The chain of an audit log: every line names the hash of the line before it.

A line is JSON that begins with its link (`chain`: replica, seq, prev) and ends with its own `hash`: SHA-256, in
hexadecimal, of the line as it stands without that last entry. So the text itself is what is hashed, and no canonical
form of JSON is needed. dataplane/internal/audit/chain.go writes it. Nothing in it is secret: who can write the whole
log anew is found by anchors alone, which somebody else keeps.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

GENESIS: Final = "0" * 64  # what the first line of a chain names as its predecessor
_SHIPPED: Final = re.compile(r"(\d{12,20})-(\d{12,20})-([0-9a-f]{16})\.jsonl(?:\.gz)?$")
_ENDING: Final = re.compile(r',"hash":"([0-9a-f]{64})"\}$')


@dataclass(frozen=True)
class Broken:
    """One place where a log is not what was written. ``line`` counts from 1; 0 is the log as a whole."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(frozen=True)
class Line:
    """One whole line: its link, its hash, what it records."""

    replica: str
    seq: int
    prev: str
    hash: str
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Anchor:
    """What somebody else noted of a chain: that line ``seq`` of ``replica`` had this hash."""

    replica: str
    seq: int
    hash: str


def parse(text: str) -> Line | str:
    """A line taken apart, or what is wrong with it in itself."""
    ending = _ENDING.search(text)
    if ending is None:
        return "the line is not whole"
    body = text[: ending.start()] + "}"
    if hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest() != ending[1]:
        return "the line was changed: its hash is another"
    try:
        record = json.loads(body)
        link = record.pop("chain")
        return Line(str(link["replica"]), int(link["seq"]), str(link["prev"]), ending[1], record)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return "the line is no record of the gateway"


class UnreadableError(Exception):
    """A file that ends in its middle, or is not what its name says."""


@dataclass(frozen=True)
class Verified:
    """What was found: places that do not hold, what the chains themselves tell of crashes, the last line of each."""

    broken: Sequence[Broken]
    remarks: Sequence[str]
    lines: int
    ends: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Place:
    """A line without what it records: a day of a busy gateway is millions of them."""

    prev: str
    hash: str
    file: str
    number: int


_Chain = dict[int, _Place]


def verify(logs: Mapping[str, Iterable[str]], anchors: Iterable[Anchor] = ()) -> Verified:
    """Everything that was changed, removed, put in, moved or cut off. ``logs``: lines by file, in any order. A chain
    may go on in another file, and its files may overlap. Without anchors a tail that was cut off looks like an end;
    with some, a chain that none of them is of is a finding too."""
    chains: dict[str, _Chain] = {}
    broken: list[Broken] = []
    remarks: dict[str, None] = {}  # each once, where files overlap
    count = 0
    for file, texts in logs.items():
        number, ends = 0, _Ends()
        try:
            for number, text in enumerate(texts, 1):
                line = parse(text)
                if isinstance(line, str):
                    broken.append(Broken(file, number, line))
                    continue
                place = _Place(line.prev, line.hash, file, number)
                if wrong := _misplaced(line, place, chains.setdefault(line.replica, {}), ends):
                    broken.append(Broken(file, number, wrong))
                remarks |= dict.fromkeys(_remarks(line))
        except UnreadableError as error:
            broken.append(Broken(file, number + 1, str(error)))
        count += number
        broken += _named(file, ends)
    for replica, chain in chains.items():
        broken += _linked(replica, chain)
    broken += _anchored(chains, anchors)
    return Verified(broken, list(remarks), count, {replica: max(chain) for replica, chain in chains.items()})


@dataclass
class _Ends:
    """The first and the last line of a file, and the newest of each replica in it."""

    first: Line | None = None
    last: Line | None = None
    newest: dict[str, int] = field(default_factory=dict)


def _misplaced(line: Line, place: _Place, chain: _Chain, ends: _Ends) -> str:
    """Put a line into its chain, or say why it does not belong there."""
    before = ends.newest.get(line.replica, 0)
    ends.first, ends.last = ends.first or line, line
    ends.newest[line.replica] = max(before, line.seq)
    there = chain.setdefault(line.seq, place)
    if there.hash != line.hash:
        return f"there are two lines {line.seq} of {line.replica}: another is {there.file}:{there.number}"
    if there.file == place.file and there.number != place.number:
        return f"line {line.seq} of {line.replica} stands twice"
    if line.seq < before:
        return f"line {line.seq} of {line.replica} stands after line {before}: it was moved"
    return ""


def _named(file: str, ends: _Ends) -> Iterator[Broken]:
    """What was shipped says in its name which lines it holds."""
    name = _SHIPPED.search(file)
    if not name:
        return
    holds = (ends.first.seq, ends.last.seq, ends.last.hash[:16]) if ends.first and ends.last else (0, 0, "")
    if holds != (int(name[1]), int(name[2]), name[3]):
        yield Broken(file, 0, f"it does not hold lines {int(name[1])} to {int(name[2])} as its name says")


def _remarks(line: Line) -> Iterator[str]:
    where = f"{line.replica}/{line.seq}"
    if torn := line.record.get("torn_bytes"):
        yield f"{where}: started after a crash, which had left {torn} bytes of a line; nobody was answered on it"
    if missed := line.record.get("unrecorded"):
        yield f"{where}: before it {missed} decisions could not be put on record; no whole profile left by them"


def _linked(replica: str, chain: _Chain) -> Iterator[Broken]:
    last, before = GENESIS, 0
    for seq in sorted(chain):
        place = chain[seq]
        if seq != before + 1:
            missing = f"line {before + 1} is" if seq == before + 2 else f"lines {before + 1} to {seq - 1} are"
            yield Broken(place.file, place.number, f"before it {missing} missing in the chain of {replica}")
        elif place.prev != last:
            how = f"it does not follow line {before} of {replica}: one of them was replaced"
            yield Broken(place.file, place.number, how)
        last, before = place.hash, seq


def _anchored(chains: Mapping[str, _Chain], anchors: Iterable[Anchor]) -> Iterator[Broken]:
    newest: dict[str, int] = {}
    for anchor in sorted(set(anchors), key=lambda a: (a.replica, a.seq)):
        newest[anchor.replica] = anchor.seq
        place = chains.get(anchor.replica, {}).get(anchor.seq)
        if place and place.hash != anchor.hash:
            how = f"line {anchor.seq} of {anchor.replica} is another than was noted"
            yield Broken(place.file, place.number, how)
    for replica in sorted(chains.keys() - newest.keys()) if newest else ():
        yield Broken(replica, 0, "no anchor is of it: its end cannot be seen, and anybody could have written all of it")
    for replica, seq in newest.items():  # what is missing before a chain's end, the lines around it tell
        ends = max(chains.get(replica, {}), default=0)
        if seq > ends:
            how = f"ends at line {ends}, and line {seq} was there: what came after was cut off"
            yield Broken(replica, 0, how)
