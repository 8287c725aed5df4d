"""The cable between host and node: one veth pair, and routes to pods and services through it.

The host's end is a plain interface, so the host reaches pod and service addresses directly; no packet filter, no
forwarding setting and no name resolution of the host is touched, and the kernel removes interface and routes with the
node's network namespace. The other side of that: pods reach the host and each other, not the internet.
"""

import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from local import LocalError
from local.cluster.layout import (
    HOST_ADDRESS,
    LINK,
    NODE_ADDRESS,
    NODE_NETWORK,
    POD_NETWORK,
    SERVICE_NETWORK,
)
from local.cluster.processes import tool
from local.process import run

INTERFACES = Path("/sys/class/net")
ROUTES = Path("/proc/net/route")
GONE_SECONDS = 10.0  # the kernel takes a namespace apart in the background


def check_free(owner: str, interfaces: Path = INTERFACES, routes: Path = ROUTES) -> list[str]:
    """Refuse when another than `owner` uses our interface name or a part of our networks; warnings for wider routes.

    A wider route (a VPN's 10.0.0.0/8) does not stop us: ours are more specific, and hide that part of it while up.
    """
    found = _owner(interfaces)
    if found not in (None, owner):
        whose = f"It says: {found}." if found else "It is not ours."
        raise LocalError(f"The network interface {LINK} exists already. {whose} Take that down first.")
    warnings = []
    for device, network in _routes(routes.read_text()):
        for ours in (NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK):
            if device == LINK or not network.overlaps(ours) or not network.prefixlen:
                continue
            if network.prefixlen >= ours.prefixlen:
                raise LocalError(
                    f"The host has a route to {network} through {device}, inside the cluster's network {ours}. "
                    f"The networks are fixed: remove that route (a VPN, a container network?) while the cluster is up."
                )
            warnings.append(f"{ours} is hidden from the host's route to {network} through {device} while up")
    return warnings


def _routes(table: str) -> list[tuple[str, IPv4Network]]:
    """Device and destination of each line of /proc/net/route (addresses as little-endian hexadecimal)."""
    found = []
    for line in table.splitlines()[1:]:
        device, destination, *_, mask = line.split()[:8]
        address, netmask = (IPv4Address(bytes.fromhex(word)[::-1]) for word in (destination, mask))
        found.append((device, IPv4Network(f"{address}/{netmask}")))
    return found


def connect(tree: Path, pid: int, owner: str) -> None:
    """Lay the cable to the network namespace of process `pid`, with the `ip` of the unpacked packages."""
    _ip(tree, "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip(tree, "link", "set", "dev", LINK, "alias", owner)
    _ip(tree, "address", "add", f"{HOST_ADDRESS}/{NODE_NETWORK.prefixlen}", "dev", LINK)
    _ip(tree, "link", "set", "dev", LINK, "up")
    for network in (POD_NETWORK, SERVICE_NETWORK):
        _ip(tree, "route", "add", str(network), "via", NODE_ADDRESS, "dev", LINK)


def _ip(tree: Path, *arguments: str) -> None:
    run([tool("chroot"), tree, "/usr/bin/ip", *arguments], doing=f"set up the network interface {LINK}")


def wait_gone(owner: str) -> None:
    """Wait until the kernel has removed our interface, and the routes with it, after the node's last process."""
    deadline = time.monotonic() + GONE_SECONDS
    while _owner(INTERFACES) == owner:
        if time.monotonic() > deadline:
            raise LocalError(f"The network interface {LINK} is still there although the cluster's processes ended.")
        time.sleep(0.05)


def _owner(interfaces: Path) -> str | None:
    """What the interface's alias says, "" when it has none; None when there is no such interface."""
    try:
        return (interfaces / LINK / "ifalias").read_text().strip()
    except FileNotFoundError:
        return "" if (interfaces / LINK).exists() else None
