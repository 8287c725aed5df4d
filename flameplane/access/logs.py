"""Audit logs and anchors as files: as they lie in the bucket (`.jsonl.gz`), on a replica's disk or from its output."""

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from flameplane.access.chain import Anchor, UnreadableError

_LOGS = ("*.jsonl", "*.jsonl.gz")
_ANCHORS = ("*.json", "*.jsonl")


def files(given: Iterable[Path]) -> list[Path]:
    """The logs that are given, and those below the folders that are given, each once."""
    found = [file for path in given for file in ([path] if not path.is_dir() else _below(path, _LOGS))]
    return list(dict.fromkeys(found))


def lines(path: Path) -> Iterator[str]:
    """The lines of a log. One that cannot be read to its end raises ``UnreadableError`` there."""
    try:
        with path.open("rb") as raw:
            plain = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            file = io.TextIOWrapper(plain, encoding="utf-8", errors="surrogateescape", newline="\n")
            for text in file:
                yield text.removesuffix("\n")
    except (OSError, EOFError, zlib.error) as error:
        what = f"the file cannot be read on: it was changed, cut off or not fetched as a whole ({error})"
        raise UnreadableError(what) from error


def anchors(path: Path) -> list[Anchor]:
    """The anchors of a file of JSON lines, or of a folder of such files. Raises ``ValueError`` for what is none."""
    where = _below(path, _ANCHORS) if path.is_dir() else [path]
    found = [_anchor(file, number, text) for file in where for number, text in enumerate(_texts(file), 1)]
    if not found:
        raise ValueError(f"{path} holds no anchors: they are below `anchors/` of the bucket's prefix")
    return found


def _texts(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines()


def _anchor(file: Path, number: int, text: str) -> Anchor:
    try:
        one = json.loads(text)
        return Anchor(str(one["replica"]), int(one["seq"]), str(one["hash"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{file}:{number} is no anchor: it is one JSON map with replica, seq and hash") from error


def _below(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(file for pattern in patterns for file in folder.rglob(pattern))
