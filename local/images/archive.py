"""One-layer image archives (`docker save` form, which containerd and kind import), without a registry or a daemon.

The same inputs give the same bytes: entries are sorted, owned by root, dated 1970, and only the executable bit of a
file's mode counts.
"""

import hashlib
import io
import json
import platform
import struct
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

# Capability numbers of linux/capability.h that programs of this platform may carry as file capabilities.
CAPABILITIES = {"cap_sys_ptrace": 19, "cap_perfmon": 38, "cap_bpf": 39}
VFS_CAP_REVISION_2 = 0x02000000
VFS_CAP_FLAGS_EFFECTIVE = 1

NONROOT = "65532:65532"
CREATED = "1970-01-01T00:00:00Z"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What images call the machine that this runs on: they are built from its own packages, for itself.
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
BASE: dict[str, bytes] = {
    "/etc/passwd": b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n",
    "/etc/group": b"root:x:0:\nnonroot:x:65532:\n",
}


def assemble(
    out: Path,
    reference: str,
    entries: Mapping[str, Path | bytes],
    *,
    entrypoint: Sequence[str],
    user: str = NONROOT,
    workdir: str = "/",
    env: Mapping[str, str] | None = None,
    capabilities: Mapping[str, str] | None = None,
) -> str:
    """Write the image to `out` and return its id (the digest of its configuration).

    `entries`: path in the image -> its content, or a host file, or a host folder with all below it. A link named here
    is followed; links inside a folder stay links. `capabilities`: path in the image -> file capabilities as setcap
    writes them, as `cap_perfmon,cap_bpf=ep`.
    """
    with tempfile.TemporaryFile(dir=out.parent) as layer:
        _write_layer(layer, {**BASE, **entries}, capabilities or {})
        layer.seek(0)
        diff_id = "sha256:" + hashlib.file_digest(layer, "sha256").hexdigest()
        configuration = _json(
            {
                "architecture": ARCHITECTURE,
                "os": "linux",
                "created": CREATED,
                "config": {
                    "User": user,
                    "Entrypoint": list(entrypoint),
                    "WorkingDir": workdir,
                    "Env": [f"{name}={value}" for name, value in {"PATH": PATH, **(env or {})}.items()],
                },
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
                "history": [{"created": CREATED, "created_by": "flameplane local images"}],
            }
        )
        identity = hashlib.sha256(configuration).hexdigest()
        manifest = _json([{"Config": f"{identity}.json", "RepoTags": [reference], "Layers": ["layer.tar"]}])
        with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, "layer.tar", layer)
            _add(archive, f"{identity}.json", configuration)
            _add(archive, "manifest.json", manifest)
    return f"sha256:{identity}"


def capability_attribute(text: str) -> bytes:
    """The value of `security.capability` (vfs_cap_data, revision 2) for `cap_x,cap_y=p` or `=ep`."""
    names, _, flags = text.partition("=")
    unknown = sorted(set(names.split(",")) - set(CAPABILITIES))
    if unknown or flags not in ("p", "ep"):
        raise ValueError(f"{text!r}: write names of {', '.join(CAPABILITIES)} and `=p` or `=ep`")
    bits = sum(1 << CAPABILITIES[name] for name in set(names.split(",")))
    magic = VFS_CAP_REVISION_2 | (VFS_CAP_FLAGS_EFFECTIVE if flags == "ep" else 0)
    return struct.pack("<5I", magic, bits & 0xFFFFFFFF, 0, bits >> 32, 0)


def _write_layer(layer: BinaryIO, entries: Mapping[str, Path | bytes], capabilities: Mapping[str, str]) -> None:
    files = _expand(entries)
    unknown = sorted(set(capabilities) - set(files))
    if unknown:
        raise ValueError(f"capabilities for files that are not in the image: {', '.join(unknown)}")
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} | {"/tmp"}  # noqa: S108
    folders |= {path for path, source in files.items() if isinstance(source, Path) and _is_folder(source)}
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted({*folders, *files} - {"/"}):
            info = tarfile.TarInfo(path.lstrip("/"))
            source = files.get(path)
            if path in folders:
                info.type = tarfile.DIRTYPE
                info.mode = 0o1777 if path == "/tmp" else 0o755  # noqa: S108
                archive.addfile(info)
            elif isinstance(source, Path) and source.is_symlink():
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(source.readlink()), 0o777
                archive.addfile(info)
            else:
                if path in capabilities:
                    # tarfile writes pax values as UTF-8; surrogates carry the bytes through unchanged.
                    value = capability_attribute(capabilities[path]).decode("utf-8", "surrogateescape")
                    info.pax_headers = {"SCHILY.xattr.security.capability": value}
                _add(archive, info, source)


def _expand(entries: Mapping[str, Path | bytes]) -> dict[str, Path | bytes]:
    """Every file, link and folder by its path in the image, without sockets, devices and compiled Python."""
    files: dict[str, Path | bytes] = {}
    for path, source in entries.items():
        files[path] = source if isinstance(source, bytes) else source.resolve(strict=True)
        if isinstance(source, Path) and source.is_dir():
            for below in source.resolve().rglob("*"):
                known = below.is_symlink() or below.is_file() or below.is_dir()
                if known and "__pycache__" not in below.parts:
                    files[f"{path.rstrip('/')}/{below.relative_to(source.resolve()).as_posix()}"] = below
    return files


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _add(archive: tarfile.TarFile, name: str | tarfile.TarInfo, source: BinaryIO | Path | bytes | None) -> None:
    """Add a file with its content: from memory, from an open file, or from a path (then its executable bit counts)."""
    info = tarfile.TarInfo(name) if isinstance(name, str) else name
    if isinstance(source, Path):
        info.mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
        with source.open("rb") as content:
            info.size = source.stat().st_size
            archive.addfile(info, content)
    elif isinstance(source, bytes):
        info.size = len(source)
        archive.addfile(info, io.BytesIO(source))
    elif source is not None:
        info.size = source.seek(0, io.SEEK_END)
        source.seek(0)
        archive.addfile(info, source)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
