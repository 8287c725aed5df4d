"""`flameplane audit` on a log that the gateway wrote (dataplane/internal/audit/testdata), held there by a Go test.

Every way to change it is tried. That many writers make one chain, and what follows a torn line, Go's tests prove.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flameplane.access.chain import Anchor, Line, parse, verify
from flameplane.cli import app

SAMPLE = Path(__file__).resolve().parents[2] / "dataplane/internal/audit/testdata/chain.jsonl"
LINES = SAMPLE.read_text(encoding="utf-8").splitlines()
WHOLE = [line for text in LINES if isinstance(line := parse(text), Line)]
ANCHOR = Anchor(WHOLE[-1].replica, WHOLE[-1].seq, WHOLE[-1].hash)


def found(lines: list[str], *anchors: Anchor) -> list[str]:
    return [str(broken) for broken in verify({"log": lines}, anchors).broken]


def forged(lines: list[str], start: int) -> list[str]:
    """The log with another tenant in one line, and every later line written anew to follow it."""
    result, last = lines[:start], WHOLE[start].prev
    for text in lines[start:]:
        body = text[: text.rindex(',"hash":')].replace('"tenant":"payments"', '"tenant":"catalog"') + "}"
        link = json.loads(body)["chain"]
        body = body.replace(link["prev"], last, 1)
        last = hashlib.sha256(body.encode()).hexdigest()
        result.append(f'{body[:-1]},"hash":"{last}"}}')
    return result


def test_what_was_written_is_whole() -> None:
    assert len(WHOLE) == len(LINES) >= 6
    assert found(LINES, ANCHOR) == []
    assert verify({"b": LINES[3:], "a": LINES[:3]}, [ANCHOR]).broken == []  # files in any order
    overlapping = verify({"b": LINES[2:], "a": LINES[:4], "c": LINES[3:4]}, [ANCHOR])
    assert (overlapping.broken, overlapping.ends) == ([], {ANCHOR.replica: ANCHOR.seq})


TAMPERED: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "a value changed": (lambda t: [*t[:2], t[2].replace("payments", "catalog"), *t[3:]], "log:3: the line was changed"),
    "a sign changed": (lambda t: [*t[:2], t[2].replace('"time":', '"time": '), *t[3:]], "log:3: the line was changed"),
    "a line removed": (lambda t: [*t[:2], *t[3:]], "log:3: before it line 3 is missing"),
    "lines removed": (lambda t: [*t[:1], *t[3:]], "log:2: before it lines 2 to 3 are missing"),
    "the first removed": (lambda t: t[1:], "log:1: before it line 1 is missing"),
    "a line twice": (lambda t: [*t[:3], t[2], *t[3:]], "log:4: line 3 of gateway-7f9c-x2x4l stands twice"),
    "two lines changed over": (
        lambda t: [*t[:2], t[3], t[2], *t[4:]],
        "log:4: line 3 of gateway-7f9c-x2x4l stands after",
    ),
    "a line put in": (lambda t: [*t[:2], "{}", *t[2:]], "log:3: the line is not whole"),
    "a line cut": (lambda t: [*t[:2], t[2][:-20], *t[3:]], "log:3: the line is not whole"),
    "one line forged": (lambda t: [*t[:2], forged(t, 2)[2], *t[3:]], "log:4: it does not follow line 3"),
    "all written anew": (lambda t: forged(t, 1), "log:6: line 6 of gateway-7f9c-x2x4l is another than was noted"),
    "the tail cut off": (lambda t: t[:-1], "gateway-7f9c-x2x4l: ends at line 5, and line 6 was there"),
    "nothing left": (lambda t: [], "gateway-7f9c-x2x4l: ends at line 0, and line 6 was there"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_every_tampering_is_found(how: str) -> None:
    change, words = TAMPERED[how]
    assert any(line.startswith(words) for line in found(change(LINES), ANCHOR)), found(change(LINES), ANCHOR)


@pytest.mark.parametrize("index", range(len(LINES)))
def test_every_line_counts(index: int) -> None:
    """Of any single line: left out, or one bit of its hash or text another."""
    assert found([*LINES[:index], *LINES[index + 1 :]], ANCHOR)
    for at in (20, len(LINES[index]) // 2, len(LINES[index]) - 5):
        text = LINES[index]
        assert found([*LINES[:index], text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :], *LINES[index + 1 :]], ANCHOR)


def sealed(body: str) -> str:
    """A line whose hash holds."""
    return f'{body[:-1]},"hash":"{hashlib.sha256(body.encode()).hexdigest()}"}}'


@pytest.mark.parametrize("seq", ["1e999", "-1e999", "NaN", "null", "[" * 100_000 + "]" * 100_000])
def test_a_line_that_makes_no_sense_is_a_finding(seq: str) -> None:
    line = sealed(f'{{"chain":{{"replica":"r","seq":{seq},"prev":"{"0" * 64}"}}}}')
    assert "log:7: the line is no record of the gateway" in found([*LINES, line], ANCHOR)


def test_a_replica_without_an_anchor_is_a_finding() -> None:
    invented = [sealed(f'{{"chain":{{"replica":"r","seq":1,"prev":"{"0" * 64}"}},"event":"started"}}')]
    logs = {"good": LINES, "invented": invented}
    assert [str(broken) for broken in verify(logs, [ANCHOR]).broken] == [
        "r: no anchor is of it: its end cannot be seen, and anybody could have written all of it"
    ]
    assert verify(logs).broken == []


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["audit", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_verify(tmp_path: Path) -> None:
    log, anchors = tmp_path / "a.jsonl", tmp_path / "anchors"
    log.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    anchors.write_text(json.dumps({"replica": ANCHOR.replica, "seq": ANCHOR.seq, "hash": ANCHOR.hash}) + "\n")
    assert run("verify", str(tmp_path), "--anchors", str(anchors)) == (
        0,
        "6 lines in 1 file: whole; 1 anchors hold\n",
        "",
    )
    assert "a tail that was cut off cannot be seen" in run("verify", str(log))[1]
    log.write_text("\n".join(LINES[:-1]) + "\n", encoding="utf-8")
    code, out, err = run("verify", str(log), "--anchors", str(anchors))
    assert (code, out) == (1, "")
    assert "what came after was cut off" in err and "not what was written (1 finding)" in err
    anchors.write_text("{}\n")
    code, _, err = run("verify", str(log), "--anchors", str(anchors))
    assert code == 2 and "is no anchor" in " ".join(err.split())


@pytest.mark.parametrize(
    ("options", "sequence"),
    [
        ((), [2, 3, 4, 5]),
        (("--who", "ann@"), [2, 4, 5]),
        (("--tenant", "payments"), [2, 3, 4]),
        (("--service", "ledger"), [3, 5]),  # the refused question was about all services
        (("--operation", "push"), [3]),
        (("--refused",), [5]),
        (("--allowed", "--who", "ann@"), [2, 4]),
        (("--exports",), [4]),
        (("--since", "2026-11-27T10:01:00Z", "--until", "2026-11-27T10:03:00Z"), [3, 4]),
        (("--who", "nobody-of-that-name"), []),
    ],
)
def test_query(options: tuple[str, ...], sequence: list[int]) -> None:
    code, out, err = run("query", str(SAMPLE), *options)
    assert (code, err) == (0, "")
    assert [int(line.split()[1].rpartition("/")[2]) for line in out.splitlines()] == sequence
    records = [json.loads(line) for line in run("query", str(SAMPLE), *options, "--json")[1].splitlines()]
    assert [r["class_uid"] for r in records] == [6005] * len(sequence)


def test_what_a_record_says() -> None:
    lines = run("query", str(SAMPLE))[1].splitlines()
    assert lines[2] == (
        "2026-11-27T10:02:00.000Z gateway-7f9c-x2x4l/4 ann@example.com (10.1.2.3) profile of payments service checkout "
        "type process_cpu:cpu:nanoseconds:cpu:nanoseconds as pprof by grant incident-4711 allowed by grant"
    )
    assert lines[3].endswith("refused by other-tenant: none of your groups reads the profiles of that team — „search“")


def test_what_is_on_record_writes_no_line_of_its_own(tmp_path: Path) -> None:
    """Who asks chooses names of services, and whoever reads the log sees them on a terminal."""
    evil = "x\n2026-01-01T00:00:00.000Z gw/9 jane allowed\r\x1b[2K\x1b[1A\x9b2K\u2028\u202e\ud800"
    body = {
        "chain": {"replica": "r", "seq": 1, "prev": "0" * 64},
        "action_id": 2,
        "status_detail": evil,
        "src_endpoint": {"ip": evil},
        "actor": {"user": {"name": evil}},
        "unmapped": {"operation": evil, "tenant": evil, "services": [evil, "ä"], "profile_type": evil, "rule": evil},
    }
    log = tmp_path / "x.jsonl"
    log.write_text(sealed(json.dumps(body)) + "\n", encoding="utf-8")
    for options in ((), ("--json",)):
        code, out, _ = run("query", str(log), *options)
        assert code == 0 and out.endswith("\n") and out[:-1].isprintable(), out
    assert r"service x\n2026-01-01T00:00:00.000Z gw/9 jane allowed\r\x1b[2K" in run("query", str(log))[1]


def test_wrong_options(tmp_path: Path) -> None:
    assert run("verify", str(tmp_path / "nothing"))[0] == 2
    for command in ("verify", "query"):
        code, _, err = run(command, str(tmp_path))
        assert code == 2 and "there is no *.jsonl" in " ".join(err.split())
    code, _, err = run("query", str(SAMPLE), "--since", "yesterday")
    assert code == 2 and "yesterday is no time" in " ".join(err.split())
    broken = tmp_path / "x.jsonl"
    broken.write_text(LINES[1] + "\n" + LINES[2].replace("push", "pull") + "\n", encoding="utf-8")
    code, out, err = run("query", str(broken))
    assert code == 0 and len(out.splitlines()) == 1 and "1 lines do not hold" in err
