"""Grafana and the trace store that link spans to profiles."""

from pydantic import Field

from schemas.base import Model, Name
from schemas.settings.forms import HttpUrl


class Correlation(Model):
    """Grafana and the trace store that link spans to profiles."""

    grafana_namespace: Name = Field(
        description="Namespace of the Grafana that reads the provisioning ConfigMaps.", examples=["grafana"]
    )
    traces_url: HttpUrl = Field(
        description="URL of the Tempo query endpoint.", examples=["http://tempo.monitoring.svc:3200"]
    )
    prometheus_url: HttpUrl = Field(
        description="URL of the Prometheus that scrapes the platform.",
        examples=["http://prometheus.monitoring.svc:9090"],
    )
