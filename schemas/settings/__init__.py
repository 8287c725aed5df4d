"""stacks/Pulumi.<environment>.yaml: the typed settings of one environment. Secrets are only named here, never held."""

from pydantic import Field, model_validator

from schemas.base import Environment, Model, refuse
from schemas.settings import backend as profile_store
from schemas.settings import cloud as cloud_account
from schemas.settings import environments
from schemas.settings.access import Access
from schemas.settings.backend import Backend, ObjectStorage, Volumes
from schemas.settings.cloud import Cloud
from schemas.settings.cluster import Cluster, Collection, Images, Injection
from schemas.settings.correlation import Correlation
from schemas.settings.regression import Alerts, Regression

__all__ = [
    "Access",
    "Alerts",
    "Backend",
    "Cloud",
    "Cluster",
    "Collection",
    "Correlation",
    "Images",
    "Injection",
    "ObjectStorage",
    "Regression",
    "Settings",
    "Volumes",
]


class Settings(Model):
    """One environment."""

    environment: Environment = Field(
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
    cloud: Cloud | None = Field(
        default=None, description="The cloud account of buckets, keys, roles and budget; absent: no cloud (local)."
    )
    demo: bool = Field(default=False, description="Run the small demo workloads (environment local only).")

    @model_validator(mode="after")
    def _fields_agree(self) -> "Settings":
        conflicts = list(environments.conflicts(self))
        conflicts += profile_store.conflicts(self.environment, self.backend)
        conflicts += cloud_account.conflicts(self.environment, self.cloud, self.backend.object_storage)
        refuse(conflicts)
        return self
