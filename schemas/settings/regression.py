"""Who may ask the gate for a verdict, and where alerts go."""

from typing import Literal

from pydantic import Field

from schemas.base import Model, Name
from schemas.settings.forms import Cidr, HttpsUrl


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
