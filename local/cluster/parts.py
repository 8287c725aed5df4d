"""What the cluster is made of: unpacked packages, built programs and two images, each in the cache."""

from dataclasses import dataclass
from pathlib import Path

from local import cache, debian, golang
from local.cluster.components import version_flags
from local.cluster.progress import Progress, step
from local.images import archive

LOCAL = Path(__file__).resolve().parent.parent
MODULES = ("kube", "coredns", "pause")
PACKAGES = (
    *("containerd", "runc", "containernetworking-plugins"),
    *("conntrack", "iproute2", "iptables", "mount", "nftables", "openssl", "procps", "util-linux"),
)


@dataclass(frozen=True)
class Parts:
    """Paths in the cache."""

    tree: Path
    kube: Path
    images: tuple[Path, ...]


def digest() -> str:
    """A key of our sources, which decide how the cluster looks: a running one of other sources is out of date."""
    folders = [LOCAL / "cluster", *(LOCAL / module for module in MODULES)]
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return cache.key(*(part for file in files for part in (str(file.relative_to(LOCAL)), file.read_bytes())))


def built() -> bool:
    """Whether some version of the big program is there, so that starting needs little disk."""
    return any((cache.root() / "go" / "bin").glob("kube-*/kube"))


def make(progress: Progress) -> Parts:
    """Everything that is not in the cache yet; the first time takes minutes, afterwards a second."""
    with step(progress, "packages of the node (Debian)"):
        tree = debian.unpack("node", PACKAGES)
    with step(progress, "Kubernetes (Go)"):
        flags = version_flags(LOCAL / "kube" / "go.mod")
        kube = golang.build(LOCAL / "kube", ".", "kube", ldflags=flags, discard_build_cache=True)
    with step(progress, "CoreDNS (Go)"):
        coredns = golang.build(LOCAL / "coredns", ".", "coredns", discard_build_cache=True)
    with step(progress, "pause (Go)"):
        pause = golang.build(LOCAL / "pause", ".", "pause")
    return Parts(tree, kube, tuple(_image(program) for program in (pause, coredns)))


def _image(program: Path) -> Path:
    """An image with nothing but a static program, called as the program is."""
    path = f"/{program.name}"

    def assemble(out: Path) -> None:
        archive.assemble(out, f"localhost/flameplane{path}:local", {path: program}, entrypoint=[path])

    return cache.build_once(cache.root() / "images" / f"{program.parent.name}.tar", assemble)
