"""The certificates of the backend and of the gateway, as they were reviewed.

The issuer signs for the platform alone: Pyroscope lets in whoever holds a certificate of it, since it cannot ask for a
name. So one certificate more is somebody more who reads every team's profiles.
"""

from typing import Any, Final

from schemas.allowed import ACCESS_NAMESPACE, BACKEND_NAMESPACE
from schemas.settings import Settings

KIND: Final = "Certificate"
# By namespace and name; the name is that of the Secret too, which pods mount.
SERVER: Final = (BACKEND_NAMESPACE, "pyroscope-tls")
CLIENT: Final = (ACCESS_NAMESPACE, "gateway-backend-tls")
_SERVER_NAMES: Final = (
    *("pyroscope", "pyroscope-distributor"),
    *("pyroscope-query-frontend", "pyroscope-tenant-settings"),
)


def issuer(settings: Settings) -> str | None:
    """The ClusterIssuer that signs for the platform; None where Secrets exist already, or without TLS."""
    return settings.backend.tls.issuer if settings.backend.tls else None


def certificates(settings: Settings) -> dict[tuple[str, str], dict[str, Any]]:
    """Specs of all certificates of an environment, by namespace and name."""
    if (called := issuer(settings)) is None:
        return {}
    common = {
        "issuerRef": {"name": called, "kind": "ClusterIssuer", "group": "cert-manager.io"},
        # A new key each time: one that leaked is worth nothing after a renewal.
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "duration": "2160h",  # 90 days
        "renewBefore": "720h",  # 30 days: time to notice that it does not work
    }
    return {
        SERVER: {
            **common,
            "secretName": SERVER[1],
            "commonName": "pyroscope",
            "dnsNames": [f"{name}.{BACKEND_NAMESPACE}.svc" for name in _SERVER_NAMES],
            "usages": ["digital signature", "server auth", "client auth"],  # its parts call each other
        },
        CLIENT: {
            **common,
            "secretName": CLIENT[1],
            "commonName": "gateway",
            "dnsNames": [f"gateway.{ACCESS_NAMESPACE}.svc"],
            "usages": ["digital signature", "client auth"],
        },
    }
