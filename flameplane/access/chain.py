"""The chain of an audit log: every line names the hash of the line before it.

A line is JSON that begins with its link (`chain`: replica, seq, prev) and ends with its own `hash`: SHA-256, in
hexadecimal, of the line as it stands without that last entry. So the text itself is what is hashed, and no canonical
form of JSON is needed. dataplane/internal/audit/chain.go writes it. Nothing in it is secret: who can write the whole
log anew is found by anchors alone, which somebody else keeps.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

GENESIS: Final = "0" * 64  # what the first line of a chain names as its predecessor
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
    except (ValueError, KeyError, TypeError, AttributeError):
        return "the line is no record of the gateway"


def verify(logs: Mapping[str, Iterable[str]], anchors: Iterable[Anchor] = ()) -> Iterator[Broken]:
    """Everything that was changed, removed, put in, moved or cut off. ``logs``: lines by file; a chain may go on in
    another file, whichever is given first. Without anchors a tail that was cut off looks like a log that ends."""
    chains: dict[str, dict[int, tuple[Line, str, int]]] = {}
    for file, texts in logs.items():
        for number, text in enumerate(texts, 1):
            line = parse(text)
            if isinstance(line, str):
                yield Broken(file, number, line)
                continue
            chain = chains.setdefault(line.replica, {})
            if line.seq in chain and chain[line.seq][0].hash != line.hash:
                yield Broken(file, number, f"there are two lines {line.seq} of {line.replica}")
            elif line.seq in chain:
                yield Broken(file, number, f"line {line.seq} of {line.replica} stands twice")
            else:
                chain[line.seq] = (line, file, number)
    for replica, chain in chains.items():
        yield from _linked(replica, chain)
    yield from _anchored(chains, anchors)


def _linked(replica: str, chain: Mapping[int, tuple[Line, str, int]]) -> Iterator[Broken]:
    last, place = GENESIS, 0
    for seq in sorted(chain):
        line, file, number = chain[seq]
        if seq != place + 1:
            missing = f"line {place + 1} is" if seq == place + 2 else f"lines {place + 1} to {seq - 1} are"
            yield Broken(file, number, f"before it {missing} missing in the chain of {replica}")
        elif line.prev != last:
            yield Broken(file, number, f"it does not follow line {place} of {replica}: one of them was replaced")
        last, place = line.hash, seq


def _anchored(chains: Mapping[str, Mapping[int, tuple[Line, str, int]]], anchors: Iterable[Anchor]) -> Iterator[Broken]:
    for anchor in sorted(set(anchors), key=lambda a: (a.replica, a.seq)):
        chain = chains.get(anchor.replica, {})
        if anchor.seq not in chain:
            ends = max(chain, default=0)
            if anchor.seq > ends:
                how = f"ends at line {ends}, and line {anchor.seq} was there: what came after was cut off"
                yield Broken(anchor.replica, 0, how)
            continue  # a gap, which the lines around it tell
        line, file, number = chain[anchor.seq]
        if line.hash != anchor.hash:
            yield Broken(file, number, f"line {anchor.seq} of {anchor.replica} is another than was noted")
