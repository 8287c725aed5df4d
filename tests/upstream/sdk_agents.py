"""Pyroscope's own SDKs in tiny programs, one per language, installed into the cache from what agents/ locks.

Each program has one hot function, switches on every profile of its SDK, and pushes every two seconds. What it is told
comes by environment variables, which are the same for all; the Java agent has names of its own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway_door import Door

from local import cache, golang

AGENTS: Final = Path(__file__).parent / "agents"
SECONDS: Final = 16  # of CPU in the hot function; the first profile can be short, the last one lost
CPU: Final = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
WALL: Final = "wall:wall:nanoseconds:wall:nanoseconds"
PUSH: Final = "/push.v1.PusherService/Push"
MAVEN_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


_HEAP: Final = ("inuse_objects:count", "inuse_space:bytes")
_MEMORY: Final = (*_HEAP, "alloc_objects:count", "alloc_space:bytes")
_LOCKS: Final = ("contentions:count", "delay:nanoseconds")
KINDS: Final = {
    "go": (
        *(CPU, "process_cpu:samples:count:cpu:nanoseconds", "goroutine:goroutine:count:goroutine:count"),
        *(f"memory:{one}:space:bytes" for one in _MEMORY),
        *(f"{name}:{one}:contentions:count" for name in ("mutex", "block") for one in _LOCKS),
    ),
    "java": (
        *(CPU, "memory:live:count:objects:count", *(f"mutex:{one}:mutex:count" for one in _LOCKS)),
        *("memory:alloc_in_new_tlab_objects:count:space:bytes", "memory:alloc_in_new_tlab_bytes:bytes:space:bytes"),
    ),
    "node": (
        *(WALL, "wall:samples:count:wall:nanoseconds", "wall:cpu:nanoseconds:wall:nanoseconds"),
        *(f"memory:{one}:inuse_space:bytes" for one in _HEAP),
    ),
    "python": (CPU, *(f"memory:{one}:space:bytes" for one in _MEMORY)),
}


# Of threads that are parked, which on a quiet machine are for less than async-profiler's threshold.
SOMETIMES: Final = {"java": tuple(f"block:{one}:block:count" for one in _LOCKS)}


class Unavailable(Exception):
    """The program or its SDK cannot be had on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Agent:
    """A program with an SDK: what it is of, how it is started, and what it is known to send."""

    language: str
    team: str
    sdk: str  # package and version, as locked in agents/
    path: str  # of the gateway, where it pushes to
    sends: str  # format, content type, encoding
    hot: str  # its function, as flame graphs of its SDK name it
    kind: str  # of profile
    command: Callable[[], Sequence[str | Path]]

    @property
    def service(self) -> str:
        """The name that it pushes under."""
        return f"sdk-{self.language}"

    @property
    def kinds(self) -> frozenset[str]:
        """Every type that it makes, all profiles of the SDK switched on."""
        return frozenset(KINDS[self.language])

    @property
    def sometimes(self) -> frozenset[str]:
        """Types that it makes where there is a cause."""
        return frozenset(SOMETIMES.get(self.language, ()))

    def sent(self, door: Door) -> list[dict[str, str]]:
        """What of the requests is this program's. The SDK for Python alone does not say the service in the address."""
        return [
            one
            for one in door.requests()
            if one["Path"] == self.path and (not one["Query"] or f"{self.service}%7B" in one["Query"])
        ]


def python() -> list[str | Path]:
    """Install the wheel."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    command += ["--only-binary=:all:", "--no-compile", "--target", "sdk", "--requirement", "requirements.txt"]
    folder = installed("python", command)
    return ["env", f"PYTHONPATH={folder / 'sdk'}", sys.executable, folder / "hot.py"]


def node() -> list[str | Path]:
    """Install the package, which ships its native part."""
    folder = installed("node", [needed("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
    return [needed("node"), folder / "hot.js"]


def java() -> list[str | Path]:
    """Fetch the agent by Maven; its hash is checked here, since Maven has no lock."""
    artifact, _, digest = (AGENTS / "java" / "agent.lock").read_text().strip().partition(" sha256:")
    command = [needed("mvn"), "-B", "-q", f"-Dmaven.repo.local={cache.root() / 'maven'}", MAVEN_COPY]
    folder = installed(
        "java", [*command, f"-Dartifact={artifact}", "-DoutputDirectory=."], [needed("javac"), "Hot.java"]
    )
    (agent,) = folder.glob("*.jar")
    assert hashlib.sha256(agent.read_bytes()).hexdigest() == digest, f"{agent} is not what agent.lock says"
    return [needed("java"), f"-javaagent:{agent}", "-cp", folder, "Hot"]


def go() -> list[str | Path]:
    """Build the program; go.sum has the hashes."""
    return [golang.build(AGENTS / "go", ".", "sdk-go")]


FORM: Final = "multipart/form-data"
RAW: Final = "pprof application/octet-stream"
AGENT: Final = {
    agent.language: agent
    for agent in (
        Agent("go", "payments", "pyroscope-go 1.5.0", "/ingest", FORM, "main.hot", CPU, go),
        Agent("java", "catalog", "io.pyroscope:agent 2.9.2", "/ingest", f"jfr {FORM}", "Hot.hot", CPU, java),
        Agent("node", "catalog", "@pyroscope/nodejs 0.6.4", "/ingest", RAW, "hot", WALL, node),
        Agent("python", "payments", "pyroscope-io 1.4.0", PUSH, "application/proto gzip", "hot", CPU, python),
    )
}


def needed(program: str) -> str:
    """Where a program is."""
    found = shutil.which(program)
    if not found:
        raise Unavailable(f"{program} is not on PATH")
    return found


def installed(language: str, *commands: Sequence[str | Path]) -> Path:
    """A copy of agents/<language> in the cache, in which the commands ran once."""

    def install(folder: Path) -> None:
        shutil.copytree(AGENTS / language, folder)
        for command in commands:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
            if done.returncode:
                said = (done.stderr + done.stdout).strip().splitlines()
                raise Unavailable(f"{Path(command[0]).name} failed: {said[-1] if said else 'it says nothing'}")

    return cache.build_once(cache.root() / "sdk-agents" / f"{language}-{cache.tree(AGENTS / language)}", install)


@contextmanager
def started(agent: Agent, door: Door, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The program, pushing to the gateway as the node agent's account; ended by its process id afterwards."""
    told = {"GATEWAY": door.url, "TOKEN": door.tokens["node"], "SERVICE": agent.service, "TEAM": agent.team}
    told |= {
        "SECONDS_LONG": str(SECONDS),
        "PYROSCOPE_SERVER_ADDRESS": door.url,
        "PYROSCOPE_AUTH_TOKEN": door.tokens["node"],
        "PYROSCOPE_APPLICATION_NAME": agent.service,
        "PYROSCOPE_LABELS": f"team={agent.team}",
        "PYROSCOPE_UPLOAD_INTERVAL": "2s",
        "PYROSCOPE_FORMAT": "jfr",
        "PYROSCOPE_PROFILER_ALLOC": "64k",
        "PYROSCOPE_ALLOC_LIVE": "true",
        "PYROSCOPE_PROFILER_LOCK": "1ms",
        "DEBUG": "pyroscope*",  # the Node.js SDK says nothing else of a push that failed
        "TMPDIR": str(folder),
    }
    process = subprocess.Popen(
        [str(part) for part in agent.command()],
        cwd=folder,
        env={**os.environ, **told},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
