"""The node agent: DaemonSet, identity, what it is told about the services, and the network it needs.

The pod itself is in node_agent_pod.py, the admission policy that holds its namespace in agent_guard.py.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apps.v1 import DaemonSet
from pulumi_kubernetes.core.v1 import ConfigMap, Service
from pulumi_kubernetes.networking.v1 import NetworkPolicy, NetworkPolicyEgressRuleArgsDict
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict
from pulumi_kubernetes.scheduling.v1 import PriorityClass

from components import network
from components.base import APP_LABEL, Component
from components.node_agent_pod import AGENT_METRICS_PORT, AGENT_NAME, RECEIVER_METRICS_PORT, agent_pod
from components.pods import SERVICE_PORT, Images
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, EBPF_TYPES
from schemas.catalog import Catalog
from schemas.service import Go
from schemas.service import Service as Declared
from schemas.settings import Settings

RECEIVER_SERVICE: Final = "node-receiver"
RECEIVER_URL: Final = f"http://{RECEIVER_SERVICE}.{AGENT_NAMESPACE}.svc:{SERVICE_PORT}"
CONFIG_NAME: Final = "node-services"
PROFILE_ANNOTATION: Final = "flameplane.dev/profile"  # "false" on a pod: never sampled; namespaces are in _org.yaml
PRIORITY: Final = 100_000  # above the default of 0, far below the classes of the system (2 billion)


@dataclass(frozen=True)
class NodeAgentArgs:
    """The environment, its images, and the services whose pods are profiled."""

    settings: Settings
    catalog: Catalog
    images: Images


class NodeAgent(Component):
    """One agent pod per node. Output: ``receiver_url``, where agents inside the applications send their profiles."""

    receiver_url: str

    def __init__(self, name: str, args: NodeAgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("collection", "NodeAgent", name, opts)
        self.receiver_url = RECEIVER_URL
        config = self._services(args)
        self._identity()
        self._network(args)
        waited_for = args.images.waited_for("agent", "receiver")
        self._daemon_set(args, config, waited_for)
        Service(
            f"{AGENT_NAMESPACE}/{RECEIVER_SERVICE}",
            metadata=self.metadata(RECEIVER_SERVICE, AGENT_NAMESPACE, app=AGENT_NAME, annotations=waited_for),
            spec={
                "type": "ClusterIP",
                "selector": {APP_LABEL: AGENT_NAME},
                # A pod talks to the receiver of its own node, which knows the pods that run there by their address.
                "internal_traffic_policy": "Local",
                "ports": [{"name": "http", "port": SERVICE_PORT, "target_port": "http", "protocol": "TCP"}],
            },
            opts=self.options(),
        )
        self.register_outputs({"receiverUrl": self.receiver_url})

    def _services(self, args: NodeAgentArgs) -> ConfigMap:
        """One object for all services, mounted: a changed rate reaches the agents without a restart."""
        organisation = args.catalog.organisation.spec
        undeclared = organisation.undeclared
        document = {
            "baseRateHz": args.settings.collection.base_rate_hz,
            "excludedNamespaces": sorted(organisation.excluded_namespaces),
            "optOutAnnotation": PROFILE_ANNOTATION,
            **({"undeclared": undeclared.model_dump(by_alias=True)} if undeclared else {}),
            "services": [_for_agent(service) for service in args.catalog.services],
        }
        return ConfigMap(
            f"{AGENT_NAMESPACE}/{CONFIG_NAME}",
            metadata=self.metadata(CONFIG_NAME, AGENT_NAMESPACE, app=AGENT_NAME),
            data={"services.json": json.dumps(document, indent=1) + "\n"},
            opts=self.options(),
        )

    def _identity(self) -> None:
        """A service account that may watch pods, and nothing else. Which node they are on cannot be limited by RBAC."""
        self.service_account(AGENT_NAMESPACE, AGENT_NAME)
        watch_pods: PolicyRuleArgsDict = {"api_groups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
        self.allow_everywhere(AGENT_NAME, AGENT_NAMESPACE, AGENT_NAME, [watch_pods])

    def _network(self, args: NodeAgentArgs) -> None:
        services = args.catalog.services
        senders = sorted({service.spec.workload.namespace for service in services if service.injected})
        prometheus = network.pods(args.settings.alerts.prometheus_namespace)
        ingress = [network.from_(prometheus, AGENT_METRICS_PORT, RECEIVER_METRICS_PORT)]
        if senders:
            ingress.append(network.from_(network.namespaces(senders), SERVICE_PORT))
        egress = [
            network.to(network.app(ACCESS_NAMESPACE, "gateway"), SERVICE_PORT),
            network.to_api_server(args.settings.cluster.api_server),
            *(rule for service in services if (rule := _scrape(service))),
        ]
        NetworkPolicy(
            f"{AGENT_NAMESPACE}/{AGENT_NAME}",
            metadata=self.metadata(AGENT_NAME, AGENT_NAMESPACE),
            spec=network.around(
                {APP_LABEL: AGENT_NAME},
                ingress=ingress,
                egress=egress,
            ),
            opts=self.options(),
        )

    def _daemon_set(self, args: NodeAgentArgs, config: ConfigMap, waited_for: dict[str, str]) -> None:
        # Ahead of applications in the queue, but never by evicting one: a profile is worth less than what it profiles.
        priority = PriorityClass(
            AGENT_NAME,
            metadata=self.metadata(AGENT_NAME),
            value=PRIORITY,
            preemption_policy="Never",
            description="Flameplane's node agent: ahead of applications in the queue, without evicting them.",
            opts=self.options(),
        )
        selector = {APP_LABEL: AGENT_NAME}
        DaemonSet(
            f"{AGENT_NAMESPACE}/{AGENT_NAME}",
            metadata=self.metadata(AGENT_NAME, AGENT_NAMESPACE, annotations=waited_for),
            spec={
                "selector": {"match_labels": selector},
                # Two agents on a node would sample twice and fight over the pins.
                "update_strategy": {
                    "type": "RollingUpdate",
                    "rolling_update": {"max_surge": 0, "max_unavailable": "10%"},
                },
                "template": {
                    "metadata": {
                        "labels": self.labels(AGENT_NAME),
                        "annotations": {"kubectl.kubernetes.io/default-container": "agent"},
                    },
                    "spec": agent_pod(args.images, CONFIG_NAME),
                },
            },
            opts=self.options([config, priority]),
        )


def _for_agent(service: Declared) -> dict[str, Any]:
    profiling = service.spec.profiling
    entry: dict[str, Any] = {
        "service": service.name,
        "team": service.team,
        "namespace": service.spec.workload.namespace,
        "selector": service.spec.workload.selector,
        "language": service.spec.language.name,
        "sampleRateHz": profiling.sample_rate_hz,
        "types": list(profiling.types),
        "cpuSource": profiling.cpu_source,
        "labels": service.spec.labels.model_dump(by_alias=True),
    }
    if isinstance(service.spec.language, Go):
        entry["pprofPort"] = service.spec.language.pprof_port
    return entry


def _scrape(service: Declared) -> NetworkPolicyEgressRuleArgsDict | None:
    """Way to the pprof port of a Go service that wants more than the eBPF agent delivers."""
    language, profiling = service.spec.language, service.spec.profiling
    scraped = profiling.cpu_source == "agent" or any(t not in EBPF_TYPES for t in profiling.types)
    if not isinstance(language, Go) or not scraped or profiling.sample_rate_hz == 0:
        return None
    workload = service.spec.workload
    return network.to(network.pods(workload.namespace, workload.selector), language.pprof_port)
