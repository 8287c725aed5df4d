"""AWS's evaluation of policies, offline: @cloud-copilot/iam-simulate in Node.js, fetched once into the cache.

Without Node.js and npm, or without a registry to fetch from, tests that ask it are NOT RUN.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from local import cache

FILES: Final = Path(__file__).parent / "iam"
# S3 tells KMS which bucket a key is used for, by a condition key whose name has the encryption context's key in it. The
# simulator knows only its pattern and would leave it out; a plain string key of the same actions stands in for it.
_PATTERN, _STANDS_IN = "kms:EncryptionContext:aws:s3:arn", "kms:RequestAlias"


def installed() -> Path:
    """The folder with simulator and script."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not on PATH")

    def install(folder: Path) -> None:
        shutil.copytree(FILES, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"npm ci failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no word'}")

    return cache.build_once(cache.root() / "iam-simulator" / cache.tree(FILES), install)


def simulate(simulations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One answer each: ``result`` (Allowed, ExplicitlyDenied, ImplicitlyDenied) and ``denied``, the Sids that did it.

    A document, action or condition key that AWS does not know fails the test, so that nothing is allowed by a slip.
    """
    text = json.dumps(simulations)
    assert _STANDS_IN not in text
    done = subprocess.run(
        ["node", "simulate.mjs"],
        cwd=installed(),
        input=text.replace(_PATTERN, _STANDS_IN),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    for simulation, answer in zip(simulations, answers, strict=True):
        assert "errors" not in answer, (simulation["request"], answer)
        assert not answer["ignored"], (simulation["request"], answer)
    return answers
