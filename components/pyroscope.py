"""Pyroscope: the backend, in one process or as microservices. What both share is here: configuration and addresses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Service

from components import specs
from components.backend_urls import BackendUrls, backend_urls
from components.base import Component
from components.pods import Images
from components.pyroscope_compaction_worker import CompactionWorker
from components.pyroscope_config import GOSSIP, GOSSIP_PORT, microservices_config, process_config
from components.pyroscope_distributor import Distributor
from components.pyroscope_identities import (
    COMPACTION_WORKER,
    DISTRIBUTOR,
    METASTORE,
    PROCESS,
    QUERY_BACKEND,
    QUERY_FRONTEND,
    SEGMENT_WRITER,
    TENANT_SETTINGS,
    account,
)
from components.pyroscope_limits import overrides
from components.pyroscope_metastore import Metastore
from components.pyroscope_part import CONFIG_MAP, GOSSIP_LABEL, OVERRIDES_MAP, Part, PartArgs
from components.pyroscope_process import PyroscopeProcess, PyroscopeProcessArgs
from components.pyroscope_query_backend import QueryBackend
from components.pyroscope_query_frontend import QueryFrontend
from components.pyroscope_segment_writer import SegmentWriter
from components.pyroscope_sizing import sizes
from components.pyroscope_tenant_settings import TenantSettings
from components.text import digest
from schemas.allowed import BACKEND_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Settings

NAME: Final = PROCESS
# In the order in which they need each other.
ROLES: Final[dict[str, Callable[[str, PartArgs, pulumi.ResourceOptions], Part]]] = {
    METASTORE: Metastore,
    SEGMENT_WRITER: SegmentWriter,
    DISTRIBUTOR: Distributor,
    COMPACTION_WORKER: CompactionWorker,
    QUERY_BACKEND: QueryBackend,
    QUERY_FRONTEND: QueryFrontend,
    TENANT_SETTINGS: TenantSettings,
}


@dataclass(frozen=True)
class PyroscopeArgs:
    """The environment, its images, and the teams that are its tenants."""

    settings: Settings
    catalog: Catalog
    images: Images


class Pyroscope(Component):
    """Configuration, limits per tenant, and the chosen architecture. Output: ``urls``, for the gateway alone."""

    urls: BackendUrls

    def __init__(self, name: str, args: PyroscopeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("backend", "Pyroscope", name, opts)
        backend = args.settings.backend
        self.urls = backend_urls(backend)
        apart = backend.architecture == "microservices"
        config = microservices_config(backend) if apart else process_config(backend)
        mounted = [
            self._config_map(CONFIG_MAP, {"config.yaml": config}),
            self._config_map(OVERRIDES_MAP, {"overrides.yaml": overrides(args.catalog, backend)}),
        ]
        # Every process reads config.yaml once; the overrides it reloads, so they are no reason for a restart.
        checksum = digest(config)
        if apart:
            self._microservices(args, checksum, mounted)
        else:
            process = PyroscopeProcessArgs(args.settings, args.images, checksum)
            PyroscopeProcess(name, process, self.options(mounted))
        self.register_outputs({"urls": self.urls.as_config()})

    def _config_map(self, name: str, data: dict[str, str]) -> ConfigMap:
        return ConfigMap(
            f"{BACKEND_NAMESPACE}/{name}",
            metadata=self.metadata(name, BACKEND_NAMESPACE, app=NAME),
            data=data,
            opts=self.options(),
        )

    def _microservices(self, args: PyroscopeArgs, checksum: str, mounted: list[ConfigMap]) -> None:
        Service(
            f"{BACKEND_NAMESPACE}/{GOSSIP}",
            metadata=self.metadata(
                GOSSIP, BACKEND_NAMESPACE, app=NAME, annotations=args.images.waited_for("pyroscope")
            ),
            spec={
                **specs.members({GOSSIP_LABEL: "true"}, gossip=GOSSIP_PORT),
                "publish_not_ready_addresses": True,  # whoever starts joins the ring before it is ready
            },
            opts=self.options(),
        )
        size = sizes(args.catalog, args.settings.backend)
        for role, component in ROLES.items():
            part = PartArgs(args.settings, args.images, size[role], checksum)
            component(account(role), part, self.options(mounted))
