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
Cidr = Annotated[str, form(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$", "an address range: 10.0.0.0/16")]
Quantity = Annotated[str, form(r"^[0-9]+(Mi|Gi|Ti)$", "a size in Mi, Gi or Ti: 20Gi")]
Minor = Annotated[str, form(r"^1\.[0-9]{2}$", 'a minor version, in quotes: "1.36"')]


class Cluster(Model):
    """Which cluster is provisioned. Always named: the current kubectl context is never used."""

    kubeconfig: str = Field(min_length=1, description="Path of the kubeconfig file; `~` is the home folder.")
    context: Name = Field(description="Context inside that file.")
    kubernetes_version: Minor = Field(description="Minor version of the API server; injection by policy needs 1.36.")
    api_server: Cidr = Field(
        description="Address range of the API server, for the network policies of those who call it."
    )


class Images(Model):
    registry: Annotated[
        str,
        form(
            r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$", "a registry without https://: registry.example.com/flameplane"
        ),
    ] = Field(
        description="Where images are pulled from; digests come from images.lock. `localhost/flameplane` means "
        "built here, never pulled."
    )


class Collection(Model):
    base_rate_hz: Literal[99] = Field(default=99, description="Rate of the perf events; services are thinned from it.")


class Injection(Model):
    enabled: bool = Field(default=True, description="Inject language agents by MutatingAdmissionPolicy.")
    api_version: Literal["admissionregistration.k8s.io/v1"] = "admissionregistration.k8s.io/v1"


class ObjectStorage(Model):
    """Where blocks are stored."""

    kind: Literal["seaweedfs", "s3"] = Field(
        description="`seaweedfs` is deployed beside Pyroscope; `s3` exists already."
    )
    endpoint: Annotated[str, form(r"^[a-z0-9.-]+(:[0-9]+)?$", "host or host:port, without https://")] = Field(
        description="host[:port]"
    )
    region: Annotated[str, form(r"^[a-z0-9-]+$", "lower-case letters, digits and hyphens")]
    bucket: Annotated[
        str,
        form(
            r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", "a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens"
        ),
    ]
    credentials_secret: Name | None = Field(
        default=None, description="Secret with access-key and secret-key; absent: the pod's own cloud identity is used."
    )
    egress: Cidr | None = Field(default=None, description="Address range of the storage endpoint; required for s3.")


class Volumes(Model):
    storage_class: Name = Field(description="StorageClass of the metastore and, with seaweedfs, of the blocks.")
    metastore: Quantity
    blocks: Quantity | None = Field(default=None, description="Size of the seaweedfs volume.")
    host_path: (
        Annotated[str, form(r"^/[a-z0-9/_-]+$", "an absolute path in lower case: /var/lib/flameplane")] | None
    ) = Field(
        default=None, description="Folder of the node for static volumes, where no provisioner is (environment local)."
    )


class Backend(Model):
    object_storage: ObjectStorage
    volumes: Volumes


class Access(Model):
    """The identity provider whose tokens the gateway verifies."""

    issuer: HttpsUrl
    audience: Name
    groups_claim: Annotated[str, form(r"^[A-Za-z0-9_:/.-]+$", "the name of a token claim: groups")] = "groups"
    replicas: int = Field(default=2, ge=1, le=20)
    egress: Cidr | None = Field(
        default=None, description="Address range of the issuer, whose keys the gateway fetches; absent: not reachable."
    )


class Correlation(Model):
    """Grafana and the trace store that link spans to profiles."""

    grafana_namespace: Name = Field(description="Namespace of the Grafana that reads the provisioning ConfigMaps.")
    traces_url: HttpUrl = Field(description="URL of the Tempo query endpoint.")
    prometheus_url: HttpUrl


class Regression(Model):
    """Who may ask the gate for a verdict, and where alerts go."""

    trusted_issuers: list[HttpsUrl] = Field(min_length=1, description="OIDC issuers of the CI systems.")
    ci_audience: Name = "flameplane-gate"
    slack_secret: Name = Field(description="Secret that holds the chat token of the notifier.")
    egress: Cidr | None = Field(
        default=None, description="Address range of the proxy to chat and git hosts; absent: alerts stay in the log."
    )


class Alerts(Model):
    rules: Literal["configmap", "prometheusrule"] = Field(
        description="`prometheusrule` where the Prometheus operator's CRD is installed, else `configmap`."
    )
    prometheus_namespace: Name = Field(description="Namespace that scrapes the platform.")


class Settings(Model):
    """One environment."""

    environment: Literal["local", "dev", "staging", "prod"]
    cluster: Cluster
    images: Images
    collection: Collection = Collection()
    injection: Injection = Injection()
    backend: Backend
    access: Access
    correlation: Correlation
    regression: Regression
    alerts: Alerts
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
