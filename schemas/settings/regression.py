"""Who may ask the gate for a verdict, and where alerts go."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import UNIQUE, Model, Name, Namespace
from schemas.settings.forms import Host, HttpsUrl, PrivateCidr


class Regression(Model):
    """Who may ask the gate for a verdict, and where alerts go."""

    trusted_issuers: Annotated[list[HttpsUrl], UNIQUE] = Field(
        min_length=1, description="OIDC issuers of the CI systems.", examples=[["https://git.example.com"]]
    )
    ci_audience: Name = Field(
        default="flameplane-gate", description="Audience that tokens of CI have to name.", examples=["flameplane-gate"]
    )
    slack_secret: Name = Field(
        description="Secret that holds the chat token of the notifier.", examples=["notifier-slack"]
    )
    egress_hosts: Annotated[list[Host], UNIQUE] = Field(
        default=[],
        description="Chat and git hosts that the notifier reaches, through the egress proxy, on port 443; each by its "
        "full name, subdomains are hosts of their own. Empty: no proxy, and alerts stay in the log.",
        examples=[["slack.com", "git.example.com"]],
    )
    egress: PrivateCidr | None = Field(
        default=None,
        description="Address range of those hosts that lie in a private network; the proxy reaches public addresses "
        "anyway, and private ones only here.",
        examples=["10.3.0.0/24"],
    )


class Alerts(Model):
    """How alert rules are delivered."""

    rules: Literal["configmap", "prometheusrule"] = Field(
        description="`prometheusrule` where the Prometheus operator's CRD is installed, else `configmap`.",
        examples=["prometheusrule"],
    )
    prometheus_namespace: Namespace = Field(description="Namespace that scrapes the platform.", examples=["monitoring"])
    runbook_url: HttpsUrl | None = Field(
        default=None,
        description="Where the pages of docs/runbooks are served; absent: alerts name the page's path in the project.",
        examples=["https://git.example.com/acme/flameplane/blob/main/docs/runbooks"],
    )
