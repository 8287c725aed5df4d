"""Where the gateway finds the backend: one address per kind of call. With one process all three are the same."""

from dataclasses import dataclass
from typing import Final

from components import tls
from components.pyroscope_identities import DISTRIBUTOR, PROCESS, QUERY_FRONTEND, TENANT_SETTINGS, account
from schemas.allowed import BACKEND_NAMESPACE
from schemas.settings.backend import Backend

HTTP_PORT: Final = 4040
DEVSTORE: Final = "devstore"
DOORS: Final = (DISTRIBUTOR, QUERY_FRONTEND, TENANT_SETTINGS)  # the roles that the gateway reaches, and nobody else


@dataclass(frozen=True)
class BackendUrls:
    """``write``: pushes and uploads. ``read``: queries. ``settings``: per-tenant settings."""

    write: str
    read: str
    settings: str

    def as_config(self) -> dict[str, str]:
        """For gateway.yaml."""
        return {"write": self.write, "read": self.read, "settings": self.settings}


def doors(backend: Backend) -> list[str]:
    """Names of the programs behind these addresses."""
    if backend.architecture == "microservices":
        return [account(role) for role in DOORS]
    return [DEVSTORE if backend.architecture == "devstore" else PROCESS]


def backend_urls(backend: Backend) -> BackendUrls:
    """The addresses of one environment."""
    names = doors(backend)
    names = names if len(names) > 1 else names * len(DOORS)
    return BackendUrls(*(f"{tls.scheme(backend)}://{name}.{BACKEND_NAMESPACE}.svc:{HTTP_PORT}" for name in names))
