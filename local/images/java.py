"""A Java program and a small runtime for it, made by the JDK of an unpacked Debian root.

The JDK runs inside the root (its settings are absolute links into /etc) in namespaces of its own, with a /proc because
it finds its libraries through /proc/self/exe.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from local import LocalError, cache
from local.process import run

PACKAGES = ("default-jdk-headless",)
# What the demo service uses, and what a profiler inside the process needs (instrument, management, jfr, unsupported).
MODULES = (
    "java.base",
    "java.instrument",
    "java.logging",
    "java.management",
    "jdk.httpserver",
    "jdk.jfr",
    "jdk.unsupported",
)


def link(root: Path) -> Path:
    """A runtime of `MODULES` only: about a tenth of the JDK."""
    options = ["--strip-java-debug-attributes", "--no-header-files", "--no-man-pages", "--compress=2"]
    return _make(root, "runtime", ["jlink", *options, "--add-modules", ",".join(MODULES), "--output"])


def compile_sources(root: Path, sources: Path) -> Path:
    """The class files of all sources in a folder."""
    copy = root / "build/sources"
    cache.remove(copy)
    shutil.copytree(sources, copy)
    files = [f"/{file.relative_to(root)}" for file in sorted(copy.rglob("*.java"))]
    return _make(root, "classes", ["javac", "-g", "-Xlint:all", "-Werror", *files, "-d"])


def _make(root: Path, name: str, command: Sequence[str]) -> Path:
    """Run a program of the JDK whose last argument is the folder it writes."""
    out = root / "build" / name
    cache.remove(out)
    out.parent.mkdir(exist_ok=True)
    (root / "proc").mkdir(exist_ok=True)
    homes = sorted((root / "usr/lib/jvm").glob("java-*-openjdk-*"))
    if not homes:
        raise LocalError(f"No JDK below {root / 'usr/lib/jvm'}.")
    program = f"/{homes[-1].relative_to(root)}/bin/{command[0]}"
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        namespaces.append("--map-root-user")
    run(
        ["unshare", *namespaces, f"--root={root}", program, *command[1:], f"/{out.relative_to(root)}"],
        doing=f"make the Java {name} with {command[0]}",
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
    )
    return out
