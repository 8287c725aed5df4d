"""TLS between the gateway and the backend, both ways: names of Secrets, their keys, and where they are mounted.

Secrets have cert-manager's form (``tls.crt``, ``tls.key``, ``ca.crt``), whoever makes them. The CA signs for this
platform alone: Pyroscope lets in whoever holds a certificate of it, since it cannot ask for a name.
"""

from dataclasses import dataclass
from typing import Final

from pulumi_kubernetes.core.v1 import KeyToPathArgsDict, VolumeArgsDict

from schemas.settings.backend import Backend

SERVER_SECRET: Final = "pyroscope-tls"  # in flameplane-backend  # noqa: S105 - a name
CLIENT_SECRET: Final = "gateway-backend-tls"  # in flameplane-access  # noqa: S105 - a name
SERVER_FOLDER: Final = "/etc/pyroscope/tls"  # where Pyroscope's pods mount theirs
CLIENT_FOLDER: Final = "/etc/flameplane/backend-tls"  # where the gateway mounts its own
CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
CA: Final = "ca.crt"  # what the other side's certificate is checked against
PEER_NAME: Final = "pyroscope.flameplane-backend.svc"  # the name by which the backend's parts know each other
VOLUME: Final = "backend-tls"


@dataclass(frozen=True)
class TlsSecrets:
    """The Secrets of one environment: ``server`` in flameplane-backend, ``client`` in flameplane-access."""

    server: str
    client: str


def secrets(backend: Backend) -> TlsSecrets | None:
    """None: the backend is reached in plain text, which only environment local may do."""
    tls = backend.tls
    if tls is None:
        return None
    if tls.secrets:
        return TlsSecrets(tls.secrets.server, tls.secrets.client)
    return TlsSecrets(SERVER_SECRET, CLIENT_SECRET)


def scheme(backend: Backend) -> str:
    """Scheme of the backend's URLs."""
    return "https" if backend.tls else "http"


def volume(secret: str) -> VolumeArgsDict:
    """The three files of a Secret, for the group of the pod's user alone."""
    items: list[KeyToPathArgsDict] = [{"key": key, "path": key} for key in (CERTIFICATE, KEY, CA)]
    return {"name": VOLUME, "secret": {"secret_name": secret, "items": items, "default_mode": 0o440}}
