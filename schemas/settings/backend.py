"""Where profiles are kept."""

from typing import Literal

from pydantic import Field

from schemas.base import Model, Name
from schemas.settings.forms import Bucket, Cidr, Endpoint, HostPath, Quantity, Region


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
