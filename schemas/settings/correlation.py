"""Grafana and the trace store that link spans to profiles."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.allowed import ACCESS_NAMESPACE
from schemas.base import Conflict, Model, Name, Namespace, refuse
from schemas.settings.forms import Host, HttpsUrl, HttpUrl, PrivateCidr, Quantity


class ExistingGrafana(Model):
    """A Grafana that runs already: its sidecar takes the provisioning from ConfigMaps."""

    mode: Literal["existing"]
    namespace: Namespace = Field(
        description="Namespace of the Grafana that reads the provisioning ConfigMaps.", examples=["monitoring"]
    )


class Oidc(Model):
    """How people sign in. Grafana does not discover endpoints, so both are named; tokens come from `access.issuer`."""

    client_id: Name = Field(description="Client of Grafana at the identity provider.", examples=["flameplane"])
    auth_url: HttpsUrl = Field(
        description="Authorization endpoint, which the browser opens.",
        examples=["https://id.example.com/realms/acme/protocol/openid-connect/auth"],
    )
    token_url: HttpsUrl = Field(
        description="Token endpoint, which Grafana calls; it lies in the range `access.egress`.",
        examples=["https://id.example.com/realms/acme/protocol/openid-connect/token"],
    )


class Database(Model):
    """A PostgreSQL for Grafana's own state. TLS is required, and its certificate verified."""

    host: Host = Field(description="Host name of the server.", examples=["grafana-db.example.com"])
    port: int = Field(default=5432, ge=1, le=65535, description="Its port.", examples=[5432])
    name: Name = Field(description="Name of the database.", examples=["grafana"])
    user: Name = Field(description="Its user; the password is `database-password` of the Secret.", examples=["grafana"])
    egress: PrivateCidr = Field(description="Address range of the server.", examples=["10.5.0.0/24"])


class OwnGrafana(Model):
    """A Grafana beside the gateway, in flameplane-access."""

    mode: Literal["own"]
    url: HttpsUrl = Field(
        description="URL under which people open it; the ingress there ends TLS.",
        examples=["https://profiles.example.com"],
    )
    secret: Name = Field(
        description="Secret with `client-secret` (OIDC), `secret-key` (encrypts what Grafana stores) and, with a "
        "database, `database-password` and `database-ca` (who signs its certificate).",
        examples=["grafana"],
    )
    oidc: Oidc = Field(description="How people sign in.")
    replicas: int = Field(default=1, ge=1, le=5, description="More than one needs a database.", examples=[1])
    storage: Quantity | None = Field(
        default=None,
        description="Size of a volume for Grafana's state, of the class `backend.volumes.storageClass`; without it "
        "and without a database, dashboards that people save are lost at a restart.",
        examples=["5Gi"],
    )
    database: Database | None = Field(default=None, description="State in a database instead of a volume.")

    @property
    def namespace(self) -> str:
        """Where it runs: the only namespace that has a door."""
        return ACCESS_NAMESPACE

    @model_validator(mode="after")
    def _one_place_for_state(self) -> "OwnGrafana":
        conflicts = []
        if self.storage and self.database:
            message = "Grafana's state goes to a volume or to a database, not to both"
            conflicts.append(Conflict("080", ("storage",), message, because=("database",)))
        if self.replicas > 1 and not self.database:
            message = f"{self.replicas} replicas of Grafana need a shared database"
            conflicts.append(Conflict("080", ("replicas",), message, (1,), reads=(("database",),)))
        refuse(conflicts)
        return self


class Correlation(Model):
    """Grafana and the trace store that link spans to profiles."""

    grafana: Annotated[OwnGrafana | ExistingGrafana, Field(discriminator="mode")] = Field(
        description="The Grafana that shows profiles."
    )
    traces_url: HttpUrl = Field(
        description="URL of the Tempo query endpoint.", examples=["http://tempo.monitoring.svc:3200"]
    )
    prometheus_url: HttpUrl = Field(
        description="URL of the Prometheus that scrapes the platform.",
        examples=["http://prometheus.monitoring.svc:9090"],
    )

    @property
    def grafana_namespace(self) -> str:
        """Namespace of Grafana and of what it is provisioned with."""
        return self.grafana.namespace

    @model_validator(mode="after")
    def _own_grafana_reaches_services(self) -> "Correlation":
        """Its network policy names pods, so what it reads has to be a Service of the cluster."""
        urls = {"tracesUrl": self.traces_url, "prometheusUrl": self.prometheus_url}
        own = isinstance(self.grafana, OwnGrafana)
        message = "a Grafana of our own reaches Services of the cluster only: http://<name>.<namespace>.svc:<port>"
        refuse(
            [
                Conflict("081", (key,), f"{message}, not {url}", because=("grafana", "mode"))
                for key, url in urls.items()
                if own and not service_namespace(url)
            ]
        )
        return self


def service_namespace(url: str) -> str | None:
    """Namespace of the Service that a URL names (``http://<name>.<namespace>.svc[.cluster.local]:<port>``)."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0].removesuffix(".cluster.local")
    parts = host.split(".")
    return parts[1] if len(parts) == 3 and parts[2] == "svc" else None
