"""Where profiles are kept."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Conflict, Model, Name, form, refuse
from schemas.settings.forms import Bucket, Cidr, Endpoint, HostPath, Quantity, Region

KmsKey = Annotated[
    str,
    form(
        r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$",
        "the ARN of a KMS key or alias: arn:aws:kms:eu-central-1:123456789012:alias/profiles",
    ),
]


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
    kms_key: KmsKey | None = Field(
        default=None,
        description="Key that objects are encrypted with; absent: the bucket's own default.",
        examples=["arn:aws:kms:eu-central-1:123456789012:alias/flameplane-profiles"],
    )


class Volumes(Model):
    """Disks of the backend."""

    storage_class: Name = Field(
        description="StorageClass of the metastore and, with seaweedfs, of the blocks.", examples=["gp3"]
    )
    metastore: Quantity = Field(
        description="Size of Pyroscope's index, or of all that devstore holds.", examples=["10Gi"]
    )
    blocks: Quantity | None = Field(default=None, description="Size of the seaweedfs volume.", examples=["20Gi"])
    host_path: HostPath | None = Field(
        default=None,
        description="Folder of the node for static volumes, where no provisioner is (environment local).",
        examples=["/var/lib/flameplane"],
    )


class Writes(Model):
    """What the bill of S3 requests follows from: every segment is a PUT (docs/backend.md has the formula)."""

    segment_duration: Literal["500ms", "1s", "2s", "4s"] = Field(
        default="2s",
        description="How long profiles are gathered before they are written. A push waits that long for its answer.",
        examples=["2s"],
    )
    tokens: int = Field(default=1, ge=1, le=8, description="Segments that each writer keeps open.", examples=[1])
    writers: int = Field(
        default=3, ge=2, le=30, description="Replicas of the segment writer (microservices).", examples=[3]
    )


class TlsSecretNames(Model):
    """Secrets that exist already, with tls.crt, tls.key and ca.crt."""

    server: Name = Field(description="Pyroscope's, in flameplane-backend.", examples=["pyroscope-tls"])
    client: Name = Field(description="The gateway's, in flameplane-access.", examples=["gateway-backend-tls"])


class Tls(Model):
    """Certificates of the gateway and of Pyroscope, by a CA that signs for nobody else."""

    issuer: Name | None = Field(
        default=None,
        description="ClusterIssuer of cert-manager that makes both certificates.",
        examples=["flameplane-backend-ca"],
    )
    secrets: TlsSecretNames | None = Field(default=None, description="Secrets that are made elsewhere.")

    @model_validator(mode="after")
    def _one_source(self) -> "Tls":
        if (self.issuer is None) == (self.secrets is None):
            message = "certificates come from `issuer` or from `secrets`, one of the two"
            refuse([Conflict("069", (), message, reads=(("issuer",), ("secrets",)))])
        return self


class Backend(Model):
    """Where profiles are kept."""

    architecture: Literal["devstore", "process", "microservices"] = Field(
        default="process",
        description="`microservices`: Pyroscope, highly available. `process`: Pyroscope in one pod, for small and "
        "trial environments. `devstore`: a small backend of our own for environment local, built here.",
        examples=["microservices"],
    )
    object_storage: ObjectStorage = Field(description="Where blocks are stored.")
    volumes: Volumes = Field(description="Disks of the backend.")
    writes: Writes = Field(default=Writes(), description="How often segments are written to object storage.")
    pods_per_service: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Pods that a service has on average: the backend is sized for that many of each declared service.",
        examples=[10],
    )
    tls: Tls | None = Field(
        default=None, description="mTLS from the gateway; absent (environment local only): plain text."
    )


def conflicts(environment: str, backend: Backend) -> list[Conflict]:
    """What the backend's own settings and the environment's name do not agree on."""
    found = []
    if environment != "local" and backend.tls is None:
        message = "outside environment local the gateway reaches the backend by mTLS: tls"
        found.append(Conflict("067", ("backend", "tls"), message))
    if environment != "local" and backend.architecture == "devstore":
        message = f"devstore is for one machine: {environment} needs Pyroscope"
        valid = ("process", "microservices") if environment == "dev" else ("microservices",)
        found.append(Conflict("079", ("backend", "architecture"), message, valid))
    if environment == "local" and backend.architecture == "microservices":  # elsewhere what is wrong is told: 064, 079
        at = ("backend", "architecture")
        if backend.object_storage.kind != "s3":
            found.append(Conflict("068", at, "microservices share a bucket: objectStorage of kind s3", ("process",)))
        elif backend.volumes.host_path:
            found.append(Conflict("068", at, "microservices run on several nodes: no volumes.hostPath", ("process",)))
    return found
