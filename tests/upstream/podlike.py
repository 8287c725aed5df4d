"""A rendered pod's container as a process on this machine: its arguments, environment and mounts as declared.

It sees a root file system of its own that it cannot write, made of the pod's volumes: ConfigMaps byte for byte at the
declared paths, claims and scratch folders writable. Names of other pods are in its /etc/hosts. It shares the network
of the machine, so every pod gets an address of 127.0.0.0/8 to listen on; that is what differs from the cluster.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from servers import NotReady, until

# Runs in namespaces of its own: `unshare` needs no root for that where the kernel lets users make them.
ENTER = """set -e
root=$1; shift
mount --bind "$root" "$root"
for shared in usr lib lib64; do
  [ -d "/$shared" ] && [ ! -L "/$shared" ] && mount --rbind "/$shared" "$root/$shared"
done
mount --bind "$PROGRAM" "$root/program"
for volume in $VOLUMES; do mount --bind "${volume%%:*}" "$root${volume##*:}"; done
mount -o remount,bind,ro "$root"
exec chroot "$root" /program "$@"
"""


def isolation() -> str:
    """`unshare`, if it can make user and mount namespaces here; NOT RUN without."""
    program = shutil.which("unshare")
    enter = [program or "", "--user", "--map-root-user", "--mount", "true"]
    if not program or subprocess.run(enter, capture_output=True, check=False).returncode:
        pytest.skip("NOT RUN: `unshare --user --mount` is not possible here; pods are run in namespaces of their own")
    return program


@dataclass
class Pod:
    """One pod: what was rendered, where it listens, and the process."""

    name: str
    address: str
    spec: Mapping[str, Any]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    kept: dict[str, Path] = field(default_factory=dict)

    @property
    def container(self) -> dict[str, Any]:
        (container,) = self.spec["containers"]
        return dict(container)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(
        self, program: Path, files: Mapping[str, Mapping[str, bytes]], hosts: str, flags: Sequence[str], **more: str
    ) -> None:
        """``files``: content of ConfigMaps and Secrets by name. ``flags`` come after those of the pod."""
        root = self._root(files, hosts)
        environment = {"PATH": os.environ["PATH"], "PROGRAM": str(program), **self._environment(), **more}
        writable = {**self.kept, **{name: Path(path) for name, path in _extra(more).items()}}
        for inside in writable:
            (root / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)
        environment["VOLUMES"] = " ".join(f"{outside}:{inside}" for inside, outside in writable.items())
        command = [isolation(), "--user", "--map-root-user", "--mount", "sh", "-c", ENTER, "sh", str(root)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.container["args"], *flags],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """As a node that loses power."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait(self, ready: Any, seconds: float) -> None:
        """Until it is ready; its log is the message otherwise."""
        alive = self.process
        assert alive
        if not until(lambda: alive.poll() is not None or ready(), seconds) or alive.poll() is not None:
            raise NotReady(f"{self.name}, exit code {alive.poll()}:\n{self.log[-6000:]}")

    def _environment(self) -> dict[str, str]:
        fields = {"metadata.name": self.name, "status.podIP": self.address}
        found = {}
        for variable in self.container["env"]:
            path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            found[variable["name"]] = fields[path] if path else variable["value"]
        return found

    def _root(self, files: Mapping[str, Mapping[str, bytes]], hosts: str) -> Path:
        root = self.folder / "root"
        for folder in ("etc", "usr", "lib", "lib64"):
            if Path("/", folder).is_symlink():
                if not (root / folder).is_symlink():
                    (root / folder).symlink_to(Path("/", folder).readlink())
            else:
                (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "program").touch()
        (root / "etc/hosts").write_text(hosts)
        volumes = {v["name"]: v for v in self.spec["volumes"]}
        for mount in self.container["volumeMounts"]:
            volume, inside = volumes.get(mount["name"], {}), root / mount["mountPath"].lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            source = volume.get("configMap", {}).get("name") or volume.get("secret", {}).get("secretName")
            if source:
                for name, content in files[source].items():
                    (inside / name).write_bytes(content)
            else:
                self.kept[mount["mountPath"]] = self.folder / "kept" / mount["name"]
                self.kept[mount["mountPath"]].mkdir(parents=True, exist_ok=True)
        return root


def _extra(more: Mapping[str, str]) -> dict[str, str]:
    """Folders that the test shares between pods: what object storage is in the cluster."""
    return {"/blocks": more["BLOCKS"]} if "BLOCKS" in more else {}


@contextmanager
def ended(pods: Sequence[Pod]) -> Iterator[None]:
    """All of them are ended by their process ids afterwards."""
    try:
        yield
    finally:
        running = [p.process for p in pods if p.process and p.process.poll() is None]
        for process in running:
            process.kill()
        for process in running:
            process.wait()
