"""stacks/Pulumi.<environment>.yaml: the typed settings of one environment. Secrets are only ever named here, never held."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.base import CrossFieldError, Model, Name

HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$")]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$")]
Cidr = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$")]
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(Mi|Gi|Ti)$")]
Minor = Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{2}$")]


class Cluster(Model):
    """Which cluster is provisioned. Always named: the current kubectl context is never used."""

    kubeconfig: str = Field(min_length=1, description="Path of the kubeconfig file; `~` is the home folder.")
    context: Name = Field(description="Context inside that file.")
    kubernetes_version: Minor = Field(description="Minor version of the API server; injection by policy needs 1.36.")
    api_server: Cidr = Field(description="Address range of the API server, for the network policies of those who call it.")


class Images(Model):
    registry: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$")] = Field(
        description="Where images are pulled from; digests come from images.lock. `localhost/flameplane`: built here, never pulled."
    )


class Collection(Model):
    base_rate_hz: Literal[99] = Field(default=99, description="Rate of the perf events; services are thinned from it.")


class Injection(Model):
    enabled: bool = Field(default=True, description="Inject language agents by MutatingAdmissionPolicy.")
    api_version: Literal["admissionregistration.k8s.io/v1"] = "admissionregistration.k8s.io/v1"


class ObjectStorage(Model):
    """Where blocks are stored."""

    kind: Literal["seaweedfs", "s3"] = Field(description="`seaweedfs` is deployed beside Pyroscope; `s3` exists already.")
    endpoint: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+(:[0-9]+)?$")] = Field(description="host[:port]")
    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$")]
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    credentials_secret: Name | None = Field(
        default=None, description="Secret with access-key and secret-key; absent: the pod's own cloud identity is used."
    )
    egress: Cidr | None = Field(default=None, description="Address range of the storage endpoint; required for s3.")


class Volumes(Model):
    storage_class: Name = Field(description="StorageClass of the metastore and, with seaweedfs, of the blocks.")
    metastore: Quantity
    blocks: Quantity | None = Field(default=None, description="Size of the seaweedfs volume.")
    host_path: Annotated[str, StringConstraints(pattern=r"^/[a-z0-9/_-]+$")] | None = Field(
        default=None, description="Folder of the node for static volumes, where no provisioner is (environment local)."
    )


class Backend(Model):
    object_storage: ObjectStorage
    volumes: Volumes


class Access(Model):
    """The identity provider whose tokens the gateway verifies."""

    issuer: HttpsUrl
    audience: Name
    groups_claim: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:/.-]+$")] = "groups"
    replicas: int = Field(default=2, ge=1, le=20)


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


class Alerts(Model):
    rules: Literal["configmap", "prometheusrule"] = Field(
        description="`prometheusrule` where the Prometheus operator's CRD is installed, else a ConfigMap with rule files."
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
        if self.demo and not local:
            raise CrossFieldError(("demo",), True, (False,), "demo workloads run in environment local only")
        if storage.kind == "seaweedfs" and not local:
            raise CrossFieldError(("backend", "objectStorage", "kind"), "seaweedfs", ("s3",), "seaweedfs is for environment local only")
        if storage.kind == "s3" and storage.egress is None:
            raise CrossFieldError(("backend", "objectStorage", "egress"), None, (), "s3 needs the address range of its endpoint")
        if storage.kind == "seaweedfs" and (self.backend.volumes.blocks is None or storage.credentials_secret is None):
            raise CrossFieldError(("backend", "volumes", "blocks"), None, (), "seaweedfs needs volumes.blocks and objectStorage.credentialsSecret")
        if self.injection.enabled and tuple(map(int, self.cluster.kubernetes_version.split("."))) < (1, 36):
            raise CrossFieldError(("cluster", "kubernetesVersion"), self.cluster.kubernetes_version, (), "injection by policy needs Kubernetes 1.36; set injection.enabled: false")
        return self
