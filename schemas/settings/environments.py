"""What each environment has to be: rules over settings that depend on its name, or that no single part can know."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from schemas.allowed import NAMESPACES, PUBLIC_REGISTRIES
from schemas.base import Conflict
from schemas.settings.correlation import OwnGrafana

if TYPE_CHECKING:
    from schemas.settings import Settings

ENVIRONMENTS: Final = ("local", "dev", "staging", "prod")
RELIED_ON: Final = ("staging", "prod")  # staging is prod in small, or it proves nothing about prod
MIN_REPLICAS: Final = 2  # one node may be drained while people read
INJECTION: Final = 36  # the minor version of Kubernetes from which MutatingAdmissionPolicy is v1
_MACHINE: Final = re.compile(r"^(https?://)?([a-z0-9.-]+\.)?localhost([:/]|$)|^(https?://)?127\.")
# Buckets of the platform, of whichever environment, as they are called where settings do not say otherwise.
_OWN_BUCKET: Final = re.compile(r"-flameplane-(profiles|audit|state)-")
_NAME: Final = ("environment",)


def environment_named(text: str) -> list[str]:
    """The environments whose names are words of ``text``: ``acme-profiles-dev`` names dev."""
    words = re.split(r"[^a-z0-9]+", text.lower())
    return [name for name in ENVIRONMENTS if name in words]


def conflicts(settings: "Settings") -> Iterator[Conflict]:
    """Everything in one environment that does not go together."""
    yield from _storage(settings)
    yield from _cluster(settings)
    yield from _others_own(settings)
    yield from _sign_in(settings)
    if settings.environment != "local":
        yield from _outside_local(settings)
    if settings.environment in RELIED_ON:
        yield from _relied_on(settings)


def _storage(settings: "Settings") -> Iterator[Conflict]:
    storage, volumes = settings.backend.object_storage, settings.backend.volumes
    at = ("backend", "objectStorage")
    kind = (*at, "kind")
    if storage.kind == "seaweedfs":
        if settings.environment != "local":
            yield Conflict("064", kind, "seaweedfs is for environment local only", ("s3",), _NAME)
            return
        if volumes.blocks is None:
            message = "seaweedfs needs a volume: volumes.blocks"
            yield Conflict("064", ("backend", "volumes", "blocks"), message, because=kind)
        if storage.credentials_secret is None:
            yield Conflict("064", (*at, "credentialsSecret"), "seaweedfs needs its keys: credentialsSecret", (), kind)
        return
    if storage.egress is None:
        yield Conflict("064", (*at, "egress"), "s3 needs the address range of its endpoint: egress", (), kind)
    if volumes.blocks:
        message = "blocks is the volume of seaweedfs: with s3 it would have no effect"
        yield Conflict("064", ("backend", "volumes", "blocks"), message, because=kind)


def _cluster(settings: "Settings") -> Iterator[Conflict]:
    version = settings.cluster.kubernetes_version
    if settings.injection.enabled and int(version.removeprefix("1.")) < INJECTION:
        message = f"injection by policy needs Kubernetes 1.{INJECTION}, the cluster has {version}"
        reads = (("injection", "enabled"),)
        yield Conflict("065", ("cluster", "kubernetesVersion"), message, reads=reads)


def _others_own(settings: "Settings") -> Iterator[Conflict]:
    """What settings open to others: were it the platform's own, its doors would be open to itself."""
    namespaces = (
        (("access", "ingressNamespace"), settings.access.ingress_namespace, "the ingress controller"),
        (("alerts", "prometheusNamespace"), settings.alerts.prometheus_namespace, "Prometheus"),
    )
    for path, namespace, who in namespaces:
        if namespace in NAMESPACES:
            yield Conflict("086", path, f"{namespace} is the platform's own namespace, where {who} does not run")
    if settings.cloud is None:
        return
    buckets = settings.cloud.buckets
    named = {
        ("backend", "objectStorage", "bucket"): settings.backend.object_storage.bucket,
        ("cloud", "buckets", "audit"): buckets.audit,
        ("cloud", "buckets", "state"): buckets.state,
    }
    for where, bucket in named.items():
        if "." in (bucket or ""):
            message = f"{bucket} has a dot: S3's certificate is for one label before the endpoint, so HTTPS would fail"
            yield Conflict("099", where, message)
    own = set(named.values())
    for index, bucket in enumerate(settings.cloud.vpc.s3_endpoint.readable_buckets):
        if bucket in own or _OWN_BUCKET.search(bucket):
            at = ("cloud", "vpc", "s3Endpoint", "readableBuckets", index)
            yield Conflict("086", at, f"{bucket} is a bucket of the platform's, readable by its own roles only")


# Providers that have endpoints on other hosts than their issuer's, as their discovery documents say
# (<issuer>/.well-known/openid-configuration): host of the issuer -> hosts of the endpoints.
_ENDPOINTS: Final = (
    (re.compile(r"accounts\.google\.com"), r"oauth2\\.googleapis\\.com"),
    (re.compile(r"sts\.windows\.net"), r"login\\.microsoftonline\\.com"),
    (re.compile(r"cognito-idp\.([a-z0-9-]+)\.amazonaws\.com"), r"[a-z0-9-]+\\.auth\\.\1\\.amazoncognito\\.com"),
)


def _sign_in(settings: "Settings") -> Iterator[Conflict]:
    """Grafana hands its client secret to the token endpoint, and people their passwords to the other one."""
    issuer, access = settings.access.issuer, ("access", "issuer")
    if isinstance(grafana := settings.correlation.grafana, OwnGrafana):
        host = _host(issuer)
        for key, url in (("authUrl", grafana.oidc.auth_url), ("tokenUrl", grafana.oidc.token_url)):
            if not _endpoint(_host(url), host):
                message = f"{_host(url)} is another host than the issuer's, which is {host}"
                yield Conflict("087", ("correlation", "grafana", "oidc", key), message, because=access)
    for index, one in enumerate(settings.regression.trusted_issuers):
        if one.rstrip("/") == issuer.rstrip("/"):
            message = f"{one} is the issuer of people's tokens already"
            yield Conflict("100", ("regression", "trustedIssuers", index), message, because=access)
    if settings.regression.ci_audience == settings.access.audience:
        path = ("regression", "ciAudience")
        message = f"{settings.access.audience} is the audience of people's tokens already"
        yield Conflict("088", path, message, because=("access", "audience"))


def _endpoint(host: str, issuer: str) -> bool:
    """Whether a host is the issuer's, one below it, or where a known provider has its endpoints."""
    if host == issuer or host.endswith(f".{issuer}"):
        return True
    for pattern, elsewhere in _ENDPOINTS:
        if found := pattern.fullmatch(issuer):
            return re.fullmatch(found.expand(elsewhere), host) is not None
    return False


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].partition(":")[0]


def _outside_local(settings: "Settings") -> Iterator[Conflict]:
    """dev, staging and prod have a real cluster and real identities."""
    name = settings.environment
    if found := public_registry(settings.images.registry):
        message = f"{found} serves everybody: {name} pulls from a registry of its own"
        yield Conflict("089", ("images", "registry"), message, (), _NAME)
    if settings.demo:
        yield Conflict("063", ("demo",), "demo workloads run in environment local only", (False,), _NAME)
    for path, value in _texts(settings):
        if _MACHINE.search(value):
            yield Conflict("076", path, f"{value} is this machine, and {name} runs elsewhere", (), _NAME)
    for path, value in _names(settings):
        named = environment_named(value)
        if named and name not in named:
            yield Conflict("077", path, f"{value} names environment {named[0]}, this is {name}", (), _NAME)
    if settings.backend.volumes.host_path:
        message = f"folders of one node are for environment local only: {name} has more than one"
        yield Conflict("079", ("backend", "volumes", "hostPath"), message, (), _NAME)
    if settings.access.egress is None:
        message = "without egress the gateway cannot fetch the issuer's keys, and lets nobody in"
        yield Conflict("083", ("access", "egress"), message, (), _NAME)


def _relied_on(settings: "Settings") -> Iterator[Conflict]:
    """staging and prod: nothing that stops when one pod does, and alerts that reach somebody."""
    name, backend = settings.environment, settings.backend
    if backend.architecture == "process":
        message = f"{name} needs a backend that survives a node: one process does not"
        yield Conflict("079", ("backend", "architecture"), message, ("microservices",), _NAME)
    if settings.access.replicas < MIN_REPLICAS:
        message = f"{name} has {settings.access.replicas} replica of the gateway; it needs at least {MIN_REPLICAS}"
        yield Conflict("075", ("access", "replicas"), message, (f"{MIN_REPLICAS} to 20",), _NAME)
    endpoint = settings.cloud.vpc.s3_endpoint if settings.cloud else None
    if endpoint and endpoint.kind == "interface" and len(endpoint.subnet_ids) == 1:
        message = f"the endpoint of S3 has 1 subnet, so with its zone all of {name} loses its storage; it needs 2"
        yield Conflict("075", ("cloud", "vpc", "s3Endpoint", "subnetIds"), message, (), _NAME)
    if isinstance(settings.correlation.grafana, OwnGrafana) and not settings.access.ingress_namespace:
        message = f"without ingressNamespace nobody reaches {settings.correlation.grafana.url}"
        yield Conflict("083", ("access", "ingressNamespace"), message, (), _NAME, (("correlation", "grafana", "mode"),))
    if not settings.regression.egress_hosts:
        message = f"without egressHosts the alerts of {name} stay in the notifier's log, and nobody hears of them"
        yield Conflict("083", ("regression", "egressHosts"), message, (), _NAME)


def _texts(settings: "Settings") -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Addresses that have to be reached from the cluster."""
    yield ("images", "registry"), settings.images.registry
    yield ("access", "issuer"), settings.access.issuer
    yield ("correlation", "tracesUrl"), settings.correlation.traces_url
    yield ("correlation", "prometheusUrl"), settings.correlation.prometheus_url
    yield ("backend", "objectStorage", "endpoint"), settings.backend.object_storage.endpoint
    if isinstance(grafana := settings.correlation.grafana, OwnGrafana):
        at = ("correlation", "grafana")
        yield (*at, "url"), grafana.url
        yield (*at, "oidc", "authUrl"), grafana.oidc.auth_url
        yield (*at, "oidc", "tokenUrl"), grafana.oidc.token_url
        if grafana.database:
            yield (*at, "database", "host"), grafana.database.host
    if settings.alerts.runbook_url:
        yield ("alerts", "runbookUrl"), settings.alerts.runbook_url
    for index, issuer in enumerate(settings.regression.trusted_issuers):
        yield ("regression", "trustedIssuers", index), issuer
    for index, host in enumerate(settings.regression.egress_hosts):
        yield ("regression", "egressHosts", index), host


def public_registry(registry: str) -> str | None:
    """The registry of everybody that images would be pulled from; None for one's own."""
    host = registry.partition("/")[0].partition(":")[0]
    return next((p for p in PUBLIC_REGISTRIES if host == p or host.endswith(f".{p}")), None)


def _names(settings: "Settings") -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Names of what belongs to one environment: with another's in them, they were copied and not changed."""
    yield ("cluster", "kubeconfig"), settings.cluster.kubeconfig.rpartition("/")[2]
    yield ("cluster", "context"), settings.cluster.context
    yield ("backend", "objectStorage", "bucket"), settings.backend.object_storage.bucket
    if settings.cloud:
        yield ("cloud", "eksCluster"), settings.cloud.eks_cluster
        for key, bucket in (("audit", settings.cloud.buckets.audit), ("state", settings.cloud.buckets.state)):
            if bucket:
                yield ("cloud", "buckets", key), bucket
