"""`flameplane audit` on a log as it lies in the bucket (dataplane/internal/audit/testdata/shipped).

A Go test holds the sample to what the gateway ships. Every tampering with objects and anchors is tried here. That S3
keeps what was put there, under Object Lock, is not shown.
"""

import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from test_audit_log import forged
from typer.testing import CliRunner

from flameplane.cli import app

SHIPPED = Path(__file__).resolve().parents[2] / "dataplane/internal/audit/testdata/shipped"
REPLICA = "gateway-7f9c-x2x4l"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "audit"))


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["audit", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def verified(bucket: Path) -> tuple[int, str, str]:
    return run("verify", bucket / "lines", "--anchors", bucket / "anchors")


def segments(bucket: Path) -> list[Path]:
    return sorted((bucket / "lines" / REPLICA).iterdir())


def texts(segment: Path) -> list[str]:
    return gzip.decompress(segment.read_bytes()).decode().splitlines()


def put(segment: Path, lines: list[str]) -> None:
    segment.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def test_what_was_shipped_is_whole(bucket: Path) -> None:
    whole = (0, "6 lines in 3 files: whole; 5 anchors hold\n", "")
    assert verified(bucket) == whole
    assert run("verify", *reversed(segments(bucket)), "--anchors", bucket / "anchors") == whole
    assert run("verify", bucket, "--anchors", bucket) == whole  # each finds its own
    assert run("verify", bucket)[1].endswith("no anchors given: a tail that was cut off cannot be seen\n")


def test_overlapping_tails_and_a_plain_copy_are_no_finding(bucket: Path) -> None:
    lines = [line for segment in segments(bucket) for line in texts(segment)]
    (bucket / "stdout.jsonl").write_text("".join(f"{line}\n" for line in lines[1:5]), encoding="utf-8")
    put(bucket / "lines" / REPLICA / "tail.jsonl.gz", lines[3:])
    assert run("verify", bucket, "--anchors", bucket / "anchors")[:2] == (
        0,
        "13 lines in 5 files: whole; 5 anchors hold\n",
    )
    once = run("query", bucket)[1].splitlines()
    assert [line.split()[1] for line in once] == [f"{REPLICA}/{seq}" for seq in (2, 3, 4, 5)]


def test_several_replicas_at_once(bucket: Path) -> None:
    """A second chain, of which there is no anchor, and whose lines stand between those of the first."""
    first, *_ = texts(segments(bucket)[0])
    other = forged_replica(first)
    (bucket / "lines/stdout.jsonl").write_text(f"{first}\n{other}\n", encoding="utf-8")
    code, out, err = verified(bucket)
    assert (code, out) == (1, "")
    assert "gateway-other: no anchor is of it" in err and "(1 finding)" in err
    head = {"replica": "gateway-other", "seq": 1, "hash": json.loads(other)["hash"]}
    (bucket / "anchors/other.json").write_text(json.dumps(head), encoding="utf-8")
    assert verified(bucket) == (0, "8 lines in 4 files: whole; 6 anchors hold\n", "")


def forged_replica(line: str) -> str:
    """The first line of another chain."""
    return rewritten(line, lambda body: body.replace(REPLICA, "gateway-other"))


def rewritten(line: str, change: Callable[[str], str]) -> str:
    body = change(line[: line.rindex(',"hash":')] + "}")
    return f'{body[:-1]},"hash":"{hashlib.sha256(body.encode()).hexdigest()}"}}'


def test_crashes_and_gaps_are_told(bucket: Path) -> None:
    alone = bucket / "alone.jsonl"
    first = rewritten(
        texts(segments(bucket)[0])[0],
        lambda body: body.replace('"started"', '"started","torn_bytes":25,"unrecorded":3'),
    )
    alone.write_text(f"{first}\n", encoding="utf-8")
    code, out, _ = run("verify", alone)
    assert code == 0
    assert f"{REPLICA}/1: started after a crash, which had left 25 bytes of a line; nobody was answered on it" in out
    assert f"{REPLICA}/1: before it 3 decisions could not be put on record; no whole profile left by them" in out


def change(index: int, how: Callable[[list[str]], list[str]]) -> Callable[[Path], object]:
    return lambda bucket: put(segments(bucket)[index], how(texts(segments(bucket)[index])))


def cut(index: int, *, keep: int) -> Callable[[Path], object]:
    return lambda bucket: segments(bucket)[index].write_bytes(segments(bucket)[index].read_bytes()[:keep])


def drop(*indexes: int) -> Callable[[Path], object]:
    return lambda bucket: [segment.unlink() for segment in [segments(bucket)[i] for i in indexes]]


def all_anew(bucket: Path) -> None:
    """Who may write objects writes the whole log anew, each segment under the name that its lines call for."""
    lines = forged([line for segment in segments(bucket) for line in texts(segment)], 1)
    for i, segment in enumerate(segments(bucket)):
        part = lines[2 * i : 2 * i + 2]
        put(segment.with_name(f"{segment.name[:26]}{json.loads(part[-1])['hash'][:16]}.jsonl.gz"), part)
        segment.unlink()


def move_a_line(bucket: Path) -> None:
    first, second = segments(bucket)[:2]
    put(first, [*texts(first), texts(second)[0]])
    put(second, texts(second)[1:])


def swap(bucket: Path) -> None:
    first, second = segments(bucket)[:2]
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def fork(bucket: Path) -> None:
    """Another line 4 beside the first one, as a replica would write it that began anew from line 3."""
    lines = [line for segment in segments(bucket) for line in texts(segment)]
    put(bucket / "lines" / REPLICA / "other.jsonl.gz", [forged(lines, 3)[3]])


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a value changed": (
        change(1, lambda t: [t[0].replace("payments", "catalog"), t[1]]),
        "jsonl.gz:1: the line was changed: its hash is another",
    ),
    "a line removed": (change(1, lambda t: t[1:]), "before it line 3 is missing in the chain"),
    "the last line of a segment removed": (change(1, lambda t: t[:1]), "before it line 4 is missing in the chain"),
    "a line put in": (change(1, lambda t: [t[0], "{}", t[1]]), "jsonl.gz:2: the line is not whole"),
    "a line twice": (change(1, lambda t: [t[0], *t]), f"jsonl.gz:2: line 3 of {REPLICA} stands twice"),
    "two lines changed over": (change(1, lambda t: t[::-1]), f"line 3 of {REPLICA} stands after line 4: it was moved"),
    "a line moved to another segment": (move_a_line, "it does not hold lines 1 to 2 as its name says"),
    "two segments changed over": (swap, "it does not hold lines 3 to 4 as its name says"),
    "the first segment missing": (drop(0), "before it lines 1 to 2 are missing in the chain"),
    "a segment missing": (drop(1), "before it lines 3 to 4 are missing in the chain"),
    "the last segment missing": (drop(2), f"{REPLICA}: ends at line 4, and line 6 was there"),
    "all but the first missing": (drop(1, 2), f"{REPLICA}: ends at line 2, and line 6 was there"),
    "the last line cut off": (change(2, lambda t: t[:1]), f"{REPLICA}: ends at line 5, and line 6 was there"),
    "an object emptied": (cut(2, keep=0), "it does not hold lines 5 to 6 as its name says"),
    "an object cut in its middle": (cut(1, keep=400), "the file cannot be read on"),
    "an object that is no gzip": (lambda b: segments(b)[1].write_text("{}\n"), "the file cannot be read on"),
    "one line written anew": (
        change(1, lambda t: [rewritten(t[0], lambda body: body.replace("payments", "catalog")), t[1]]),
        f"it does not follow line 3 of {REPLICA}",
    ),
    "two lines of one number": (fork, f"there are two lines 4 of {REPLICA}"),
    "all written anew": (all_anew, f"line 6 of {REPLICA} is another than was noted"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_every_tampering_is_found(how: str, bucket: Path) -> None:
    change, words = TAMPERED[how]
    change(bucket)
    if not list((bucket / "lines").rglob("*.gz")):
        pytest.fail("nothing is left to verify")
    code, out, err = verified(bucket)
    assert (code, out) == (1, ""), how
    assert words in err, err
    assert "Traceback" not in err


@pytest.mark.parametrize("offset", range(12, 600, 29))
def test_no_byte_of_an_object_can_be_changed(offset: int, bucket: Path) -> None:
    segment = segments(bucket)[0]
    content = bytearray(segment.read_bytes())
    content[offset] ^= 1
    segment.write_bytes(content)
    assert verified(bucket)[0] == 1


def test_anchors_that_are_none(bucket: Path) -> None:
    empty = bucket / "empty"
    empty.mkdir()
    code, _, err = run("verify", bucket, "--anchors", empty)
    assert code == 2 and "holds no anchors" in " ".join(err.split())
    next((bucket / "anchors").rglob("*.json")).write_text("{}")
    code, _, err = verified(bucket)
    assert code == 2 and "is no anchor" in " ".join(err.split())


def test_an_anchor_of_a_replica_without_lines(bucket: Path) -> None:
    (bucket / "anchors/gone.json").write_text(json.dumps({"replica": "gateway-gone", "seq": 7, "hash": "0" * 64}))
    code, _, err = verified(bucket)
    assert code == 1 and "gateway-gone: ends at line 0, and line 7 was there" in err


def test_query_skips_and_counts_what_cannot_be_read(bucket: Path) -> None:
    segments(bucket)[1].write_bytes(b"no gzip")
    code, out, err = run("query", bucket, "--who", "ann@")
    assert code == 0 and "1 lines do not hold" in err
    assert [line.split()[1] for line in out.splitlines()] == [f"{REPLICA}/{seq}" for seq in (2, 5)]
