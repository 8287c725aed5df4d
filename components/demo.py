"""Four small services of environment local, so that there is something to profile."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ContainerPortArgsDict, Namespace, PodSpecArgsDict, Service

from components import pods, specs
from components.base import Component
from components.foundation import pod_security
from components.pods import Images
from schemas.catalog import Catalog
from schemas.service import Go
from schemas.service import Service as Declared

UID: Final = 65532
PORT: Final = 8080
VERSION: Final = "1.0.0"
# Demo services have no history of their own; a full commit id is what real ones carry, so theirs is the empty tree's.
GIT_REF: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
# Service -> image, and the memory that its runtime needs.
WORKLOADS: Final = {
    "checkout": ("demo-go", "64Mi"),
    "search": ("demo-java", "256Mi"),
    "web-bff": ("demo-node", "128Mi"),
    "recommender": ("demo-python", "128Mi"),
}


@dataclass(frozen=True)
class DemoArgs:
    """The declared services, of which those with a demo program run."""

    catalog: Catalog
    images: Images


class Demo(Component):
    """Namespaces of the teams, and a Deployment and a Service for each program."""

    def __init__(self, name: str, args: DemoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("demo", "Demo", name, opts)
        services = [service for service in args.catalog.services if service.name in WORKLOADS]
        namespaces = {
            namespace: Namespace(
                namespace, metadata=self.metadata(namespace, labels=pod_security("restricted")), opts=self.options()
            )
            for namespace in sorted({service.spec.workload.namespace for service in services})
        }
        for service in services:
            self._workload(service, args.images, namespaces[service.spec.workload.namespace])
        self.register_outputs({"services": [service.name for service in services]})

    def _workload(self, service: Declared, images: Images, namespace: Namespace) -> None:
        workload = service.spec.workload
        labels = {**self.labels(service.name, service), **workload.selector}
        name = f"{workload.namespace}/{service.name}"
        Deployment(
            name,
            metadata=self.metadata(service.name, workload.namespace, service=service),
            spec={
                "replicas": 1,
                "selector": {"match_labels": workload.selector},
                "template": {
                    "metadata": {
                        "labels": {**labels, service.spec.labels.version: VERSION, service.spec.labels.track: "stable"},
                        "annotations": {service.spec.labels.git_ref: GIT_REF},
                    },
                    "spec": _pod(service, images),
                },
            },
            opts=self.options([namespace]),
        )
        Service(
            name,
            metadata=self.metadata(service.name, workload.namespace, service=service),
            spec=specs.door(workload.selector, "http", PORT),
            opts=self.options([namespace]),
        )


def _pod(service: Declared, images: Images) -> PodSpecArgsDict:
    image, memory = WORKLOADS[service.name]
    ports: list[ContainerPortArgsDict] = [pods.port("http", PORT)]
    if isinstance(service.spec.language, Go):
        ports.append(pods.port("pprof", service.spec.language.pprof_port))
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": pods.restricted_pod(UID),
        "containers": [
            {
                "name": "app",
                "image": images.reference(image),
                "image_pull_policy": images.pull_policy,
                "security_context": pods.restricted_container(),
                "resources": pods.resources("20m", memory, "250m", memory),
                "ports": ports,
                "readiness_probe": pods.http_probe("/healthz", "http"),
                "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108
            }
        ],
        "volumes": [{"name": "tmp", "empty_dir": {"size_limit": "64Mi"}}],
    }
