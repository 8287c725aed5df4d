"""The gateway's real door (dataplane/internal/door) for tests in Python, before a backend that speaks Pyroscope's API.

Its identity provider and API server are those of the Go tests: the tokens are good, and nobody else's are.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import cache, golang

MODULE = Path(__file__).resolve().parents[1] / "dataplane"


@dataclass
class Door:
    """Where it is, and tokens by who shows them: node, downsample, engineer, platform. The record comes at the end."""

    url: str
    tokens: dict[str, str]
    log: Path
    record: list[dict[str, Any]] = field(default_factory=list)

    def requests(self) -> list[dict[str, Any]]:
        """What came so far, as it came, and the status of each answer."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def build(folder: Path, package: str = "door") -> Path:
    """The test program of an internal package; compiled once, the compiler's cache does the rest."""
    program = folder / f"{package}.test"
    command = [golang.toolchain(MODULE).program, "test", "-c", "-o", program, f"./internal/{package}"]
    environment = golang.environment(cache.root() / "go") | {"CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


@contextmanager
def door(program: Path, backend: str = "devstore") -> Iterator[Door]:
    """The door before the backend at that address, or before a devstore of its own."""
    log = program.with_name(f"requests-{secrets.token_hex(4)}.jsonl")
    process = subprocess.Popen(
        [program, "-test.run=^TestServeForOthers$", "-test.v", "-test.timeout=40m"],
        env={**os.environ, "FLAMEPLANE_DOOR_BACKEND": backend, "FLAMEPLANE_DOOR_REQUESTS": str(log)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    found = None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("READY "):
                tokens = json.loads(line.removeprefix("READY "))
                found = Door(tokens.pop("url"), tokens, log)
                break
        assert found, "".join(lines)
        yield found
    finally:
        process.stdin.close()
        rest = process.stdout.read()
        process.stdout.close()
        process.wait(60)
        if found:
            records = [line.removeprefix("RECORD ") for line in rest.splitlines() if line.startswith("RECORD ")]
            found.record = [json.loads(text) for text in records]
