"""stacks/Pulumi.<environment>.yaml: the typed settings of one environment. Secrets are only named here, never held."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Conflict, Model, Name, form, refuse

HttpsUrl = Annotated[
    str, form(r"^https://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$", "an https URL: https://id.example.com/realm")
]
HttpUrl = Annotated[
    str,
    form(
        r"^https?://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$",
        "an http or https URL: http://tempo.observability:3200",
    ),
]
_OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
Cidr = Annotated[
    str, form(rf"^{_OCTET}(\.{_OCTET}){{3}}/([0-9]|[12][0-9]|3[0-2])$", "an IPv4 address range: 10.0.0.0/16")
]
Quantity = Annotated[str, form(r"^[0-9]+(Mi|Gi|Ti)$", "a size in Mi, Gi or Ti: 20Gi")]
Minor = Annotated[str, form(r"^1\.[0-9]{2}$", 'a minor version, in quotes: "1.36"')]
Registry = Annotated[
    str,
    form(r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$", "a registry without https://: registry.example.com/flameplane"),
]
Endpoint = Annotated[str, form(r"^[a-z0-9.-]+(:[0-9]+)?$", "host or host:port, without https://")]
Region = Annotated[str, form(r"^[a-z0-9-]+$", "a region: eu-central-1")]
Bucket = Annotated[
    str,
    form(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", "a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens"),
]
HostPath = Annotated[str, form(r"^/[a-z0-9/_-]+$", "an absolute path in lower case: /var/lib/flameplane")]
Claim = Annotated[str, form(r"^[A-Za-z0-9_:/.-]+$", "the name of a token claim: groups")]


class Cluster(Model):
    """Which cluster is provisioned. Always named: the current kubectl context is never used."""

    kubeconfig: str = Field(
        min_length=1, description="Path of the kubeconfig file; `~` is the home folder.", examples=["~/.kube/prod"]
    )
    context: Name = Field(description="Context inside that file.", examples=["prod"])
    kubernetes_version: Minor = Field(
        description="Minor version of the API server; injection by policy needs 1.36.", examples=["1.36"]
    )
    api_server: Cidr = Field(
        description="Address range of the API server, for the network policies of those who call it.",
        examples=["10.0.0.1/32"],
    )


class Images(Model):
    """Where images come from."""

    registry: Registry = Field(
        description="Where images are pulled from; digests come from images.lock. `localhost/flameplane` means "
        "built here, never pulled.",
        examples=["registry.example.com/flameplane"],
    )


class Collection(Model):
    """How the node agent samples."""

    base_rate_hz: Literal[99] = Field(
        default=99, description="Rate of the perf events; services are thinned from it.", examples=[99]
    )


class Injection(Model):
    """How language agents get into pods."""

    enabled: bool = Field(default=True, description="Inject language agents by MutatingAdmissionPolicy.")
    api_version: Literal["admissionregistration.k8s.io/v1"] = Field(
        default="admissionregistration.k8s.io/v1",
        description="API version of MutatingAdmissionPolicy.",
        examples=["admissionregistration.k8s.io/v1"],
    )


class ObjectStorage(Model):
    """Where blocks are stored."""

    kind: Literal["seaweedfs", "s3"] = Field(
        description="`seaweedfs` is deployed beside Pyroscope; `s3` exists already.", examples=["s3"]
    )
    endpoint: Endpoint = Field(description="Host, with its port unless it is 443.", examples=["s3.amazonaws.com"])
    region: Region = Field(description="Region that requests are signed for.", examples=["eu-central-1"])
    bucket: Bucket = Field(description="Bucket of the blocks.", examples=["acme-profiles"])
    credentials_secret: Name | None = Field(
        default=None,
        description="Secret with access-key and secret-key; absent: the pod's own cloud identity is used.",
        examples=["object-storage"],
    )
    egress: Cidr | None = Field(
        default=None, description="Address range of the storage endpoint; required for s3.", examples=["10.1.0.0/16"]
    )


class Volumes(Model):
    """Disks of the backend."""

    storage_class: Name = Field(
        description="StorageClass of the metastore and, with seaweedfs, of the blocks.", examples=["gp3"]
    )
    metastore: Quantity = Field(description="Size of Pyroscope's index.", examples=["10Gi"])
    blocks: Quantity | None = Field(default=None, description="Size of the seaweedfs volume.", examples=["20Gi"])
    host_path: HostPath | None = Field(
        default=None,
        description="Folder of the node for static volumes, where no provisioner is (environment local).",
        examples=["/var/lib/flameplane"],
    )


class Backend(Model):
    """Where profiles are kept."""

    object_storage: ObjectStorage = Field(description="Where blocks are stored.")
    volumes: Volumes = Field(description="Disks of the backend.")


class Access(Model):
    """The identity provider whose tokens the gateway verifies."""

    issuer: HttpsUrl = Field(description="Issuer of people's tokens.", examples=["https://id.example.com"])
    audience: Name = Field(description="Audience that the tokens have to name.", examples=["flameplane"])
    groups_claim: Claim = Field(
        default="groups", description="Claim that lists the groups of a person.", examples=["groups"]
    )
    replicas: int = Field(default=2, ge=1, le=20, description="Replicas of the gateway.", examples=[2])
    egress: Cidr | None = Field(
        default=None,
        description="Address range of the issuer, whose keys the gateway fetches; absent: not reachable.",
        examples=["10.2.0.0/24"],
    )


class Correlation(Model):
    """Grafana and the trace store that link spans to profiles."""

    grafana_namespace: Name = Field(
        description="Namespace of the Grafana that reads the provisioning ConfigMaps.", examples=["grafana"]
    )
    traces_url: HttpUrl = Field(
        description="URL of the Tempo query endpoint.", examples=["http://tempo.monitoring.svc:3200"]
    )
    prometheus_url: HttpUrl = Field(
        description="URL of the Prometheus that scrapes the platform.",
        examples=["http://prometheus.monitoring.svc:9090"],
    )


class Regression(Model):
    """Who may ask the gate for a verdict, and where alerts go."""

    trusted_issuers: list[HttpsUrl] = Field(
        min_length=1, description="OIDC issuers of the CI systems.", examples=[["https://git.example.com"]]
    )
    ci_audience: Name = Field(
        default="flameplane-gate", description="Audience that tokens of CI have to name.", examples=["flameplane-gate"]
    )
    slack_secret: Name = Field(
        description="Secret that holds the chat token of the notifier.", examples=["notifier-slack"]
    )
    egress: Cidr | None = Field(
        default=None,
        description="Address range of the proxy to chat and git hosts; absent: alerts stay in the log.",
        examples=["10.3.0.0/24"],
    )


class Alerts(Model):
    """How alert rules are delivered."""

    rules: Literal["configmap", "prometheusrule"] = Field(
        description="`prometheusrule` where the Prometheus operator's CRD is installed, else `configmap`.",
        examples=["prometheusrule"],
    )
    prometheus_namespace: Name = Field(description="Namespace that scrapes the platform.", examples=["monitoring"])


class Settings(Model):
    """One environment."""

    environment: Literal["local", "dev", "staging", "prod"] = Field(
        description="Name of the environment, which its file is called after.", examples=["prod"]
    )
    cluster: Cluster = Field(description="Which cluster is provisioned.")
    images: Images = Field(description="Where images come from.")
    collection: Collection = Field(default=Collection(), description="How the node agent samples.")
    injection: Injection = Field(default=Injection(), description="How language agents get into pods.")
    backend: Backend = Field(description="Where profiles are kept.")
    access: Access = Field(description="The identity provider whose tokens the gateway verifies.")
    correlation: Correlation = Field(description="Grafana and the trace store that link spans to profiles.")
    regression: Regression = Field(description="Who may ask the gate for a verdict, and where alerts go.")
    alerts: Alerts = Field(description="How alert rules are delivered.")
    demo: bool = Field(default=False, description="Run the small demo workloads (environment local only).")

    @model_validator(mode="after")
    def _fields_agree(self) -> "Settings":
        storage, local = self.backend.object_storage, self.environment == "local"
        at = ("backend", "objectStorage")
        conflicts = []
        if self.demo and not local:
            conflicts.append(Conflict("063", ("demo",), "demo workloads run in environment local only", (False,)))
        if storage.kind == "seaweedfs" and not local:
            conflicts.append(Conflict("064", (*at, "kind"), "seaweedfs is for environment local only", ("s3",)))
        if storage.kind == "s3" and storage.egress is None:
            conflicts.append(Conflict("064", (*at, "egress"), "s3 needs the address range of its endpoint: egress"))
        if storage.kind == "seaweedfs" and self.backend.volumes.blocks is None:
            conflicts.append(
                Conflict("064", ("backend", "volumes", "blocks"), "seaweedfs needs a volume: volumes.blocks")
            )
        if storage.kind == "seaweedfs" and storage.credentials_secret is None:
            conflicts.append(Conflict("064", (*at, "credentialsSecret"), "seaweedfs needs its keys: credentialsSecret"))
        version = self.cluster.kubernetes_version
        if self.injection.enabled and int(version.removeprefix("1.")) < 36:
            message = f"injection by policy needs Kubernetes 1.36, the cluster has {version}"
            conflicts.append(Conflict("065", ("cluster", "kubernetesVersion"), message))
        refuse(conflicts)
        return self
