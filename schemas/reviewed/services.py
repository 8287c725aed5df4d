"""Every Service of the platform, as it was reviewed: whose pods it leads to, and by which ports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.allowed import AGENT_NAMESPACE, EGRESS_PROXY
from schemas.reviewed.network import (
    APP,
    DEVSTORE,
    DOORS,
    GATEWAY,
    GOSSIP,
    GOSSIP_LABEL,
    GRAFANA,
    GRAFANA_PORT,
    GRPC,
    HTTP,
    PROBE,
    PROBE_OPEN,
    PROXY,
    PROXY_PORT,
    PYROSCOPE,
    RAFT,
    STORAGE,
    STORAGE_PORT,
    apart,
    own_grafana,
    said,
    whole,
)


@dataclass(frozen=True)
class Door:
    """A Service: the label that selects its pods, and port -> name of the container port."""

    selector: tuple[str, str]
    ports: tuple[tuple[int, str], ...]
    headless: bool = False
    unready: bool = False  # publishNotReadyAddresses: members have to find each other before they are ready
    dual: bool = False  # ipFamilyPolicy: by IPv4 and IPv6 where the cluster has both
    local: bool = False  # internalTrafficPolicy: a receiver knows the pods of its own node only


# Every Service of the platform. None leads to an admin or metrics port.
SERVICES: Final = {
    GATEWAY: Door((APP, "gateway"), ((HTTP, "http"),)),
    GRAFANA: Door((APP, "grafana"), ((GRAFANA_PORT, "http"),)),
    PROXY: Door((APP, EGRESS_PROXY), ((PROXY_PORT, "proxy"),)),
    f"{AGENT_NAMESPACE}/node-receiver": Door((APP, "flameplane-node"), ((HTTP, "http"),), local=True),
    # They have to find each other where nobody gets ready.
    PROBE: Door((APP, "network-probe"), ((PROBE_OPEN, "open"),), headless=True, unready=True, dual=True),
    STORAGE: Door((APP, "object-storage"), ((STORAGE_PORT, "s3"),)),
    DEVSTORE: Door((APP, "devstore"), ((HTTP, "http"),)),
    PYROSCOPE: Door((APP, "pyroscope"), ((HTTP, "http"),)),
    f"{PYROSCOPE}-headless": Door((APP, "pyroscope"), ((HTTP, "http"),), headless=True, unready=True),
    **{f"{PYROSCOPE}-{role}": Door((APP, f"pyroscope-{role}"), ((HTTP, "http"),)) for role in DOORS},
    **{
        f"{PYROSCOPE}-{role}-headless": Door((APP, f"pyroscope-{role}"), ((GRPC, "grpc"),), headless=True)
        for role in ("segment-writer", "query-backend")
    },
    f"{PYROSCOPE}-metastore-headless": Door(
        (APP, "pyroscope-metastore"), ((GRPC, "grpc"), (RAFT, "raft")), headless=True, unready=True
    ),
    f"{PYROSCOPE}-gossip": Door((GOSSIP_LABEL, "true"), ((GOSSIP, "gossip"),), headless=True, unready=True),
}


def services(settings: Mapping[str, Any]) -> list[str]:
    """The Services of an environment."""
    found = [GATEWAY, PROBE, f"{AGENT_NAMESPACE}/node-receiver"]
    found += [GRAFANA] if own_grafana(settings) else []
    found += [PROXY] if said(settings, "regression.egressHosts") else []
    found += [STORAGE] if said(settings, "backend.objectStorage.kind") == "seaweedfs" else []
    if not apart(settings):
        return [*found, DEVSTORE] if whole(settings) == DEVSTORE else [*found, PYROSCOPE, f"{PYROSCOPE}-headless"]
    return [
        *found,
        *(name for name in SERVICES if name.startswith(f"{PYROSCOPE}-") and name != f"{PYROSCOPE}-headless"),
    ]
