"""The text of a YAML file: whether it can be read at all, and where a syntax error really is."""

import codecs
import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.tokens import ScalarToken

from flameplane.catalog.report import Report
from flameplane.findings import Location

MAX_BYTES = 200_000  # a service file has about 2,000
# What YAML allows in a file at all.
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Line breaks to YAML 1.1 and to some editors only: line numbers, and what a comment ends with, would differ.
_BREAK = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
_REFUSED = (
    (_CONTROL, "holds the control character {}", "Delete the character."),
    (
        _BREAK,
        "holds {}, which ends a line to some readers and not to others",
        "Put an ordinary line break there, or delete the character.",
    ),
)
_ENCODINGS = (  # longer marks first: that of UTF-32 starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# Blanks that are none to YAML, where it needs one: in the indentation, behind a colon or a hyphen.
_BLANK = re.compile("^ *(?:- +)*(?:[\\w./:\"'-]*[:-])?([\xa0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])")
# A key and its value without the colon, or without the blank behind it.
_NO_COLON = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][\w./-]*)(:(?=[^\s/])| +(?=[^\s:])|$)(?P<value>[^:]*)")
# What may stand behind a closing quote in its line.
_AFTER_QUOTE = re.compile(r"\s*([,\]}:]|$)|\s+#")
_HINTS = (
    ("mapping values are not allowed", 'quote a value that holds ": "; otherwise check the indentation'),
    ("could not find expected ':'", 'a key is followed by ": " and its value'),
    ("cannot start any token", "quote a value that starts with @, `, % or a tab"),
    ("did not find expected key", "lines of one map start in the same column"),
    ("did not find expected '-' indicator", "entries of one list start in the same column"),
    ("found unexpected end of stream", "close the quote"),
    ("did not find expected ',' or", "close the bracket"),
)


def decode(data: bytes, name: str, report: Report) -> str | None:
    """The text, if it is UTF-8 without characters that YAML has no use for."""
    start = Location(name, 1, 1)
    if len(data) > MAX_BYTES:
        fix = "Split it up, or delete what does not belong here."
        report.add("001", f"has more than {MAX_BYTES:,} bytes", start, fix=fix)
        return None
    if other := next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), ""):
        report.add("001", f"is {other}, not UTF-8", start)
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = place(data[: error.start].decode("utf-8", errors="replace"), name)
        report.add("001", f"is not UTF-8: byte 0x{data[error.start]:02x}", at)
        return None
    for characters, message, fix in _REFUSED:
        if found := characters.search(text):
            at = place(text[: found.start()], name)
            report.add("001", message.format(f"U+{ord(found[0]):04X}"), at, fix=fix)
            return None
    return text


def place(before: str, name: str) -> Location:
    """The place of the character that follows ``before``."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Location(name, line, column, column + 1)


def tab(text: str) -> int:
    """Where the first tab in an indentation is, or 0; in the text of a block scalar (|, >) it is content."""
    tabs = [found.start(1) for found in re.finditer(r"^ *(\t)", text, re.MULTILINE)]
    if tabs:
        blocks = [range(t.start_mark.line, t.end_mark.line) for t in _scalars(text) if t.style in ("|", ">")]
        tabs = [at for at in tabs if not any(text.count("\n", 0, at) in block for block in blocks)]
    return tabs[0] if tabs else 0


def _scalars(text: str) -> Iterator[Any]:
    """The scalars' tokens, up to the first error."""
    try:
        yield from (token for token in yaml.scan(text, Loader=yaml.CSafeLoader) if isinstance(token, ScalarToken))
    except yaml.MarkedYAMLError:
        return


def runs_on(scalar: Any, lines: list[str]) -> bool:
    """Whether a quoted scalar (token or event) was closed by a quote of a later line that was meant to open another."""
    start, end = scalar.start_mark, scalar.end_mark
    if scalar.style not in ("'", '"') or start.line == end.line:
        return False
    return not _AFTER_QUOTE.match(lines[end.line][end.column :] if end.line < len(lines) else "")


def open_quote(scalar: Any, name: str) -> tuple[str, Location, str]:
    """Message, place and fix for such a scalar."""
    at = Location(name, scalar.start_mark.line + 1, scalar.start_mark.column + 1)
    message = f"not valid YAML: the quote that opens here ends in line {scalar.end_mark.line + 1}"
    return message, at, "Close the quote in its own line."


def _without_colon(lines: list[str], line: int) -> tuple[int, int, str, str] | None:
    """Line, indentation, key and value of ``key value`` or ``key:value`` among keys of a map.

    The parser takes it for the start of a longer text and stumbles over the next key: only its line and the one before
    are looked at, and only if the line above or below it holds a key in the same column.
    """
    for number in (line - 1, line):
        found = _NO_COLON.fullmatch(lines[number - 1].partition(" #")[0].rstrip()) if 0 < number <= len(lines) else None
        if not found:
            continue
        indent = len(found["indent"])
        beside = [lines[i] for i in (number - 2, number) if 0 <= i < len(lines)]
        if any(re.match(rf" {{{indent}}}[\w./\"'-]+:( |$)", other) for other in beside):
            return number, indent, found["key"], (found["value"] or "").strip()
    return None


def syntax_error(error: yaml.MarkedYAMLError, text: str, name: str, report: Report) -> None:
    at_end = error.problem == "found unexpected end of stream"  # then only the start of the quote tells anything
    mark = (error.context_mark if at_end else None) or error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    last = max(1, len(lines))
    if line > last:  # the parser noticed at the end of the file: point at the last line
        line, column = last, 1
    for number, content in enumerate(lines[:line], 1):
        if found := _BLANK.match(content):
            at = Location(name, number, found.start(1) + 1, found.end(1) + 1)
            blank = f"not valid YAML: U+{ord(found[1]):04X} is no blank to YAML"
            report.add("002", blank, at, fix="Type an ordinary blank in its place.")
            return
    if unclosed := next((token for token in _scalars(text) if runs_on(token, lines)), None):
        message, at, fix = open_quote(unclosed, name)
        report.add("002", message, at, fix=fix)
        return
    if slip := _without_colon(lines, line):
        number, indent, key, value = slip
        at = Location(name, number, indent + 1, indent + 1 + len(key))
        fix = f"Write {key}: {value}".rstrip()
        report.add("002", f"not valid YAML: {key} is followed by no colon and blank", at, fix=fix)
        return
    problem = error.problem or "syntax error"
    fix = next((hint for part, hint in _HINTS if part in problem), "")
    context = f" ({error.context})" if error.context else ""
    report.add("002", f"not valid YAML: {problem}{context}", Location(name, line, column), fix=fix)
