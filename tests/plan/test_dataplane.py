"""The tests of dataplane/, which are Go's own: `go vet`, then every package, each as one test here.

With the race detector where there is a C compiler for it. What they prove is said in the test files themselves.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from local import cache, golang

MODULE = Path(__file__).resolve().parents[2] / "dataplane"
PACKAGES = sorted({str(p.parent.relative_to(MODULE)) for p in MODULE.rglob("*_test.go")})


def go(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = golang.toolchain(MODULE).program
    environment = golang.environment(cache.root() / "go") | {"CGO_ENABLED": "1" if shutil.which("gcc") else "0"}
    return subprocess.run(
        [program, *arguments], cwd=MODULE, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def results() -> Mapping[str, tuple[set[str], set[str], str]]:
    """By package: tests that passed, tests that did not, and what those said."""
    race = ["-race"] if shutil.which("gcc") else []
    # Not from Go's cache, which does not see the files outside of the module that tests read, such as golden/.
    done = go("test", "-json", "-count=1", *race, "./...")
    found: dict[str, tuple[set[str], set[str]]] = {}
    said: dict[tuple[str, str], str] = {}
    for line in done.stdout.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        package = str(event.get("Package", "")).removeprefix("flameplane.dev/dataplane/")
        passed, failed = found.setdefault(package, (set(), set()))
        said[package, event.get("Test", "")] = said.get((package, event.get("Test", "")), "") + event.get("Output", "")
        if test := event.get("Test"):
            {"pass": passed, "fail": failed}.get(event["Action"], set()).add(test)
        elif event.get("Action") == "fail":
            failed.add("the package")
    told = {
        package: "".join(said.get((package, test), "") for test in ["", *sorted(failed)])
        for package, (_, failed) in found.items()
    }
    by_package = {package: (*tests, told[package]) for package, tests in found.items()}
    return by_package | {"": (set(), {"go test"} if done.returncode else set(), done.stderr)}


def test_vet() -> None:
    done = go("vet", "./...")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_package(package: str, results: Mapping[str, tuple[set[str], set[str], str]]) -> None:
    assert package in results, results[""][2]
    passed, failed, text = results[package]
    assert not failed, text
    assert passed, f"{package} ran no test"


def test_all_of_it_passed(results: Mapping[str, tuple[set[str], set[str], str]]) -> None:
    """Packages that do not compile have no tests to fail."""
    assert not results[""][1], results[""][2]


def test_sources_are_formatted() -> None:
    gofmt = golang.toolchain(MODULE).program.with_name("gofmt")
    if not gofmt.exists():
        pytest.skip("NOT RUN: this Go comes without gofmt")
    files = [str(p) for p in MODULE.rglob("*.go")]
    done = subprocess.run([gofmt, "-l", *files], capture_output=True, text=True, env={**os.environ}, check=True)
    assert done.stdout == ""
