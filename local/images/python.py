"""Python programs as images: Debian's interpreter with the libraries it needs, and packages from PyPI.

Packages are those of requirements.txt, by its pins and hashes, as wheels for that interpreter, whatever runs this.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import LocalError, cache, debian
from local.images.archive import ARCHITECTURE
from local.images.libraries import closure
from local.process import run

PACKAGES = ("python3",)
WITH_EXTENSIONS = (*PACKAGES, "libstdc++6")  # packages from PyPI are written in C++, too
PROJECT = Path(__file__).resolve().parents[2]
LOCK = PROJECT / "requirements.txt"
# Parts of the standard library that no server needs: tests, tools for developers, desktop things.
UNUSED = {"ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtledemo", "venv"}
SITE = "/opt/site-packages"
# What `flameplane downsample` imports; the rest of requirements.txt is for declaring the platform.
JOB = (
    *("annotated-doc", "annotated-types", "promql-parser", "protobuf", "pydantic", "pydantic-core", "pyyaml"),
    *("rapidfuzz", "shellingham", "typer", "typing-extensions", "typing-inspection", "urllib3"),
)
# Whom it trusts: what Debian's package of authorities ships is no bundle before its maintainer scripts ran.
AUTHORITIES = "certifi"
TRUSTED = f"{SITE}/certifi/cacert.pem"
# Of our own code, what they need: no component, no policy.
OWN = ("flameplane", "schemas")
_MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(ARCHITECTURE, ARCHITECTURE)
_PLATFORMS = tuple(f"manylinux{tag}_{_MACHINE}" for tag in ("2014", "_2_17", "_2_24", "_2_27", "_2_28", "_2_31"))


def runtime(root: Path, extensions: Sequence[Path] = ()) -> tuple[str, dict[str, Path | bytes]]:
    """Path of the interpreter in the image, and its files; ``extensions`` are modules of others that it loads."""
    python = debian.inside(root, "/usr/bin/python3")  # python3.11: profilers know the interpreter by this name
    library = root / "usr/lib" / python.name
    modules = [*sorted((library / "lib-dynload").glob("*.so")), *extensions]
    entries: dict[str, Path | bytes] = {f"/usr/bin/{python.name}": python, **closure(root, [python, *modules])}
    for part in library.iterdir():
        if part.name not in UNUSED and not part.is_symlink():
            entries[f"/usr/lib/{python.name}/{part.name}"] = part
    return f"/usr/bin/{python.name}", entries


def packages(names: Sequence[str], version: str) -> Path:
    """A folder with the packages as they are locked, for CPython ``version`` (3.11) on this machine's architecture."""
    requirements = "".join(locked(name) for name in names)
    target = cache.root() / "site-packages" / f"{version}-{cache.key(requirements, _MACHINE)}"

    def build(partial: Path) -> None:
        partial.mkdir()
        file = partial / "requirements.txt"
        file.write_text(requirements)
        command: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir"]
        command += ["--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:"]
        command += ["--no-compile", "--target", partial]
        command += [f"--python-version={version}", "--implementation=cp", f"--abi=cp{version.replace('.', '')}"]
        command += ["--abi=abi3", "--abi=none", *(f"--platform={tag}" for tag in _PLATFORMS), "--platform=any"]
        run([*command, "--requirement", file], doing=f"install {len(names)} packages from PyPI")
        file.unlink()

    return cache.build_once(target, build)


def locked(name: str) -> str:
    """The lines of one package in requirements.txt: its pin and its hashes."""
    match = re.search(rf"^{re.escape(name)}==.*?(?=^\S|\Z)", LOCK.read_text(), re.MULTILINE | re.DOTALL)
    if not match:
        raise LocalError(f"{name} is not in {LOCK.name}, and an image needs it.")
    return match[0]


def own() -> Mapping[str, Path]:
    """Path in the image -> package of this repository."""
    return {f"/opt/flameplane/{name}": PROJECT / name for name in OWN}
