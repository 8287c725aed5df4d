"""Names, networks and folders of the local cluster: written here and nowhere else."""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from local import cache

NAME: Final = "flameplane-local"  # of the node, and of context, user and cluster in the kubeconfig
NODE_NETWORK: Final = IPv4Network("10.213.0.0/24")
POD_NETWORK: Final = IPv4Network("10.214.0.0/16")
SERVICE_NETWORK: Final = IPv4Network("10.215.0.0/16")
HOST_ADDRESS: Final = "10.213.0.1"
NODE_ADDRESS: Final = "10.213.0.11"
API_PORT: Final = 6443
API_SERVICE_ADDRESS: Final = "10.215.0.1"  # the first of the service network, as the API server takes it
DNS_ADDRESS: Final = "10.215.0.10"
DOMAIN: Final = "cluster.local"
LINK: Final = "flameplane0"  # the host's end of the cable to the node

# Inside the node.
NODE_BIN: Final = "/opt/flameplane/bin"
NODE_PATH: Final = f"{NODE_BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
PKI: Final = "/etc/kubernetes/pki"


@dataclass(frozen=True)
class ClusterInfo:
    """What a client needs: its kubeconfig (context `flameplane-local`) and a kubectl of the cluster's version."""

    kubeconfig: Path
    context: str
    kubectl: Path


@dataclass(frozen=True)
class Layout:
    """The one folder that holds all state; `down` deletes it."""

    root: Path

    @classmethod
    def current(cls) -> "Layout":
        """The layout in the cache of this call's environment."""
        return cls(cache.root() / "cluster")

    @property
    def disk(self) -> Path:
        """The node's root folder, as the host sees it."""
        return self.root / "node"

    @property
    def logs(self) -> Path:
        """One file per component."""
        return self.root / "logs"

    @property
    def images(self) -> Path:
        """One empty file per image archive that the node already has."""
        return self.root / "images"

    @property
    def record(self) -> Path:
        """What runs, written when everything does."""
        return self.root / "running.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.root / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        """A link to the combined binary."""
        return self.root / "bin" / "kubectl"

    @property
    def cgroup(self) -> str:
        """Name of our control group: of this cache folder, so that two caches never end each other's processes."""
        return "flameplane-" + hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def pki(self) -> Path:
        """Keys and certificates, as the host sees them."""
        return self.disk / PKI.lstrip("/")

    @property
    def owner(self) -> str:
        """What our network interface says about itself."""
        return f"Flameplane cluster in {self.root}"

    @property
    def info(self) -> ClusterInfo:
        """The same paths for callers."""
        return ClusterInfo(self.kubeconfig, NAME, self.kubectl)
