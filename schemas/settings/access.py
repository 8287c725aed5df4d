"""Whose tokens the gateway verifies."""

from pydantic import Field

from schemas.base import Model, Name, Namespace
from schemas.settings.forms import Cidr, Claim, HttpsUrl


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
    ingress_namespace: Namespace | None = Field(
        default=None,
        description="Namespace of the ingress controller that leads people and CI to the gateway, and to Grafana if "
        "it is our own; absent: neither is reached from outside the cluster.",
        examples=["ingress"],
    )
