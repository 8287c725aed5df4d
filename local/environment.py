"""`make setup`: .venv with every locked dependency, and `flameplane` installed on top of it from this checkout.

Runs on the system's Python, so it needs the standard library alone. Done once: a stamp holds what .venv was made from,
and is removed first, so an interrupted run is simply run again. Debian's Python comes without pip and without the
`ensurepip` that would make it; pip is then unpacked from Debian's package into the cache, nothing is installed.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from local import LocalError, cache, debian

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-dev.txt"


def main() -> int:
    """The exit code: 0 when .venv is what the lock says, 3 when it could not be made."""
    start = time.monotonic()
    venv = ROOT / ".venv"
    stamp = venv / ".flameplane"
    try:
        wanted = _digest()
        if stamp.exists() and stamp.read_text() == wanted:
            return 0
        stamp.unlink(missing_ok=True)
        _say("making .venv")
        _create(venv)
        _say("installing the locked dependencies (about 300 MB on disk)")
        pip = [
            str(venv / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]
        _run([*pip, "--require-hashes", "--requirement", str(LOCK)], "install the locked dependencies")
        _say("installing flameplane from this checkout")
        _run([*pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)], "install flameplane")
        stamp.write_text(wanted)
    except LocalError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    _say(f".venv/bin/flameplane is ready after {time.monotonic() - start:.0f} s")
    return 0


def _digest() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in (LOCK, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return f"{digest.hexdigest()} {ROOT}\n"  # the folder too: a moved checkout has a .venv that points elsewhere


def _create(venv: Path) -> None:
    """A fresh .venv with pip in it."""
    if importlib.util.find_spec("venv") is None:
        raise LocalError("This Python has no `venv` module. On Debian and Ubuntu: apt-get install python3-venv.")
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)], "make .venv")
    python = str(venv / "bin" / "python")
    if importlib.util.find_spec("ensurepip"):
        _run([python, "-m", "ensurepip", "--default-pip"], "put pip into .venv")
        return
    _say("this Python cannot make pip: unpacking Debian's python3-pip-whl into the cache")
    wheels = sorted((debian.unpack("pip", ["python3-pip-whl"]) / "usr/share/python-wheels").glob("pip-*.whl"))
    if not wheels:
        raise LocalError("Debian's package python3-pip-whl holds no pip. Install python3-venv and run it again.")
    _run([python, f"{wheels[-1]}/pip", "install", "--quiet", "--no-index", str(wheels[-1])], "put pip into .venv")


def _run(command: list[str], doing: str) -> None:
    """Errors go to the terminal as they are: pip says itself what is wrong."""
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise LocalError(f"Could not {doing}: what went wrong is above. Then run `make setup` again.")


def _say(text: str) -> None:
    sys.stdout.write(f"setup: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with cache.lock(cache.root() / "setup"):
        sys.exit(main())
