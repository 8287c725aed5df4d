"""Which cluster is provisioned, from which images, and how it is sampled."""

from typing import Literal

from pydantic import Field

from schemas.base import Model
from schemas.settings.forms import Context, KubeconfigPath, Minor, PrivateCidr, Registry


class Cluster(Model):
    """Which cluster is provisioned. Always named: the current kubectl context is never used."""

    kubeconfig: KubeconfigPath = Field(
        description="Path of the kubeconfig file; `~` is the home folder.", examples=["~/.kube/prod"]
    )
    context: Context = Field(
        description="Context inside that file: a name, or what the cloud writes there.", examples=["prod"]
    )
    kubernetes_version: Minor = Field(
        description="Minor version of the API server; injection by policy needs 1.36.", examples=["1.36"]
    )
    api_server: PrivateCidr = Field(
        description="Address range of the API server, inside the cluster's own network: for the network policies of "
        "those who call it.",
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
