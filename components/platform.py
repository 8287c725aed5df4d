"""The whole platform: one component per part, in the order in which they need each other."""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import Provider

from components.agent_guard import AgentGuard, AgentGuardArgs
from components.alert_rules import AlertRules, AlertRulesArgs
from components.ci_gate import CiGate, CiGateArgs
from components.cost_report import CostReport, CostReportArgs
from components.demo import Demo, DemoArgs
from components.devstore import DevStore, DevStoreArgs
from components.downsample import Downsample, DownsampleArgs
from components.drift import APP as DRIFT
from components.drift import Drift, DriftArgs
from components.egress_proxy import EgressProxy, EgressProxyArgs
from components.foundation import Foundation, FoundationArgs
from components.gateway import Gateway, GatewayArgs
from components.grafana import Grafana, GrafanaArgs
from components.grafana_server import GrafanaServer, GrafanaServerArgs
from components.grants import Grants, GrantsArgs
from components.language_agents import LanguageAgents, LanguageAgentsArgs
from components.network_probe import NetworkProbe, NetworkProbeArgs
from components.node_agent import NodeAgent, NodeAgentArgs
from components.object_storage import ObjectStorage, ObjectStorageArgs
from components.platform_guard import PlatformGuard
from components.pods import Images
from components.pyroscope import Pyroscope, PyroscopeArgs
from components.pyroscope_certificates import Certificates, CertificatesArgs
from components.static_volumes import StaticVolumes, StaticVolumesArgs
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, BACKEND_NAMESPACE, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.grant import Grant
from schemas.images import ImagesLock
from schemas.settings import Settings
from schemas.settings.correlation import OwnGrafana


@dataclass(frozen=True)
class PlatformArgs:
    """One environment. ``kubeconfig`` is the path that is really used, which the settings only propose."""

    settings: Settings
    catalog: Catalog
    images: ImagesLock
    kubeconfig: str
    grants: tuple[Grant, ...] = ()


class Platform(pulumi.ComponentResource):
    """Everything Flameplane puts into a cluster."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flameplane:index:Platform", name, {}, opts)
        settings, catalog = args.settings, args.catalog
        images = Images(args.images, settings.images.registry)
        # Always an explicit file and context: a default provider would use whatever cluster kubectl points at today.
        provider = Provider(
            "cluster",
            kubeconfig=args.kubeconfig,
            context=settings.cluster.context,
            cluster_identifier=f"flameplane-{settings.environment}",
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        foundation = Foundation(
            "foundation", FoundationArgs(catalog), pulumi.ResourceOptions(parent=self, provider=provider)
        )

        PlatformGuard("platform-guard", pulumi.ResourceOptions(parent=self, provider=provider))

        def inside(namespace: str, *others: pulumi.Resource) -> pulumi.ResourceOptions:
            after = [foundation.namespaces[namespace], *others]
            return pulumi.ResourceOptions(parent=self, provider=provider, depends_on=after)

        NetworkProbe("network-probe", NetworkProbeArgs(settings, images), inside(SYSTEM_NAMESPACE))
        if settings.backend.volumes.host_path:
            # Not after the namespace: it goes only with the claims in it, so `destroy` would wait for itself.
            StaticVolumes(
                "static-volumes",
                StaticVolumesArgs(settings.backend.volumes),
                pulumi.ResourceOptions(parent=self, provider=provider),
            )
        if settings.backend.object_storage.kind == "seaweedfs":
            ObjectStorage("object-storage", ObjectStorageArgs(settings.backend, images), inside(BACKEND_NAMESPACE))
        cloud: list[pulumi.Resource] = []
        if settings.cloud:
            # Imported here: the SDK of AWS takes time, which environment local need not spend.
            from components.aws.account import Account, AccountArgs  # noqa: PLC0415

            cloud = Account("cloud", AccountArgs(settings, catalog), pulumi.ResourceOptions(parent=self)).ready
        if settings.backend.tls and settings.backend.tls.issuer:
            issuer = CertificatesArgs(settings.backend.tls.issuer)
            Certificates("certificates", issuer, inside(BACKEND_NAMESPACE, foundation.namespaces[ACCESS_NAMESPACE]))
        backend = _backend(settings, catalog, images, inside(BACKEND_NAMESPACE, *cloud))
        Downsample("downsample", DownsampleArgs(settings, catalog, images), inside(SYSTEM_NAMESPACE))
        gate = CiGate("ci-gate", CiGateArgs(settings, catalog), inside(ACCESS_NAMESPACE))
        grants = Grants("grants", GrantsArgs(args.grants), inside(ACCESS_NAMESPACE))
        gateway = Gateway(
            "gateway",
            GatewayArgs(settings, catalog, images, backend.urls, gate.config_map, grants.config_map),
            inside(ACCESS_NAMESPACE, *cloud),
        )
        guard = AgentGuard("agent-guard", AgentGuardArgs(images), inside(AGENT_NAMESPACE))
        agent = NodeAgent("node-agent", NodeAgentArgs(settings, catalog, images), inside(AGENT_NAMESPACE, guard))
        if settings.injection.enabled:
            languages = LanguageAgentsArgs(catalog, images, agent.receiver_url)
            LanguageAgents("language-agents", languages, inside(SYSTEM_NAMESPACE))
        own = settings.correlation.grafana if isinstance(settings.correlation.grafana, OwnGrafana) else None
        grafana_in = ACCESS_NAMESPACE if own else SYSTEM_NAMESPACE
        provisioned = Grafana("grafana", GrafanaArgs(settings, catalog, gateway.url), inside(grafana_in))
        if own:
            server = GrafanaServerArgs(settings, catalog, images, own, provisioned, gateway.url)
            GrafanaServer("grafana-server", server, inside(ACCESS_NAMESPACE))
        proxy = None
        if settings.regression.egress_hosts:
            way_out = EgressProxyArgs(settings.regression, images, clients=[DRIFT])
            proxy = EgressProxy("egress-proxy", way_out, inside(SYSTEM_NAMESPACE)).url
        Drift("drift", DriftArgs(settings, catalog, images, proxy), inside(SYSTEM_NAMESPACE))
        CostReport("cost-report", CostReportArgs(settings, catalog, images), inside(SYSTEM_NAMESPACE))
        AlertRules("alert-rules", AlertRulesArgs(settings.alerts, catalog), inside(SYSTEM_NAMESPACE))
        if settings.demo:
            Demo("demo", DemoArgs(catalog, images), pulumi.ResourceOptions(parent=self, provider=provider))
        self.register_outputs(
            {"environment": settings.environment, "services": len(catalog.services), "teams": len(catalog.teams)}
        )


def _backend(
    settings: Settings, catalog: Catalog, images: Images, opts: pulumi.ResourceOptions
) -> DevStore | Pyroscope:
    if settings.backend.architecture == "devstore":
        return DevStore("devstore", DevStoreArgs(settings, catalog, images), opts)
    return Pyroscope("pyroscope", PyroscopeArgs(settings, catalog, images), opts)
