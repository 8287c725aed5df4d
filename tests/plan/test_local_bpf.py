"""The BPF sources compile, by any clang, and only what they are made of makes other objects."""

import os
import shutil
from pathlib import Path

import pytest

from local import LocalError, bpf, cache, golang
from local.images.recipes import DATAPLANE

SOURCES = sorted((DATAPLANE / "bpf").glob("*.bpf.c"))
needs_go = pytest.mark.skipif(not shutil.which("go"), reason="NOT RUN: go is not on PATH")


@pytest.fixture
def objects() -> dict[str, Path]:
    try:
        bpf.compiler()
    except LocalError as error:
        pytest.skip(f"NOT RUN: no clang, and none from Debian: {error}")
    return bpf.compile_all(DATAPLANE / "bpf")


def test_every_source_becomes_a_bpf_object(objects: dict[str, Path]) -> None:
    assert set(objects) == {source.with_suffix(".o").name for source in SOURCES} >= {"sampler.bpf.o"}
    for file in objects.values():
        content = file.read_bytes()
        assert content[:6] == b"\x7fELF\x02\x01"
        assert int.from_bytes(content[18:20], "little") == 247, "EM_BPF"
        assert b".BTF.ext" in content, "without it, nothing is found in the running kernel"


def test_nothing_is_written_among_the_sources(objects: dict[str, Path]) -> None:
    assert not list((DATAPLANE / "bpf").glob("*.o"))
    assert all(file.is_relative_to(cache.root()) for file in objects.values())


def _clang(folder: Path, code: str) -> Path:
    folder.mkdir()
    program = folder / "clang"
    program.write_text(f"#!/bin/sh\n{code}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    _clang(tmp_path / "bin", 'for last; do :; done; [ "$1" = --version ] && echo fake || echo object >"$last"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    folder = tmp_path / "bpf"
    folder.mkdir()
    (folder / "one.bpf.c").write_text("int one;\n")
    return folder


def test_clang_of_the_machine_compiles_once(sources: Path) -> None:
    first = bpf.compile_all(sources)
    assert first["one.bpf.o"].read_text() == "object\n"
    (sources / "bpf.go").write_text("package bpf\n")
    assert bpf.compile_all(sources) == first, "Go is not part of an object"
    (sources / "shared.h").write_text("int two;\n")
    assert bpf.compile_all(sources) != first


def test_what_clang_says_is_shown(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "bin/clang").write_text('#!/bin/sh\n[ "$1" = --version ] && exit\necho "one.bpf.c:1: no" >&2; exit 1\n')
    with pytest.raises(LocalError, match=r"Could not compile one\.bpf\.c(.|\n)*one\.bpf\.c:1: no"):
        bpf.compile_all(sources)
    assert not list((tmp_path / "cache/bpf").glob("bpf-*"))


def test_a_folder_without_sources_is_an_error(sources: Path) -> None:
    (sources / "one.bpf.c").unlink()
    with pytest.raises(LocalError, match="There is no"):
        bpf.compile_all(sources)


@needs_go
def test_a_program_embeds_what_is_laid_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMEPLANE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLAMEPLANE_GO_SHARED_CACHE", "1")
    module = tmp_path / "hello"
    module.mkdir()
    (module / "go.mod").write_text("module example.com/hello\n\ngo 1.21\n")
    (module / "main.go").write_text(
        'package main\n\nimport "embed"\n\n//go:embed text*\nvar files embed.FS\n\n'
        'func main() { text, _ := files.ReadFile("text.o"); println(string(text)) }\n'
    )
    (module / "text.c").write_text("source")
    built = tmp_path / "elsewhere"
    built.write_text("first")
    overlay = {module / "text.o": built}
    first = golang.build(module, ".", "hello", overlay=overlay)
    assert b"first" in first.read_bytes()
    built.write_text("second")
    assert b"second" in golang.build(module, ".", "hello", overlay=overlay).read_bytes()
    assert golang.build(module, ".", "hello", overlay=overlay) != first
    assert not list(first.parent.glob("*.json"))
