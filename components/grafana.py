"""What Grafana is provisioned with: data sources per team through the gateway, and a dashboard of the platform."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap

from components.base import Component
from components.dashboard import dashboard
from components.pyroscope_config import LONGTERM
from components.text import as_yaml
from schemas.catalog import Catalog
from schemas.settings import Settings

CPU: Final = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
PROMETHEUS: Final = "flameplane-prometheus"  # uid


@dataclass(frozen=True)
class GrafanaArgs:
    """Where Grafana, the trace store and Prometheus are, the teams, and the gateway."""

    settings: Settings
    catalog: Catalog
    gateway_url: str


class Grafana(Component):
    """ConfigMaps for Grafana's provisioning sidecar (label ``grafana_datasource``, ``grafana_dashboard``).

    The user's own token is forwarded (``oauthPassThru``), so Grafana is not trusted: the gateway decides who may read.
    ``grafana-hardening`` is meant as ``envFrom`` of the Grafana pod: it keeps the browser from posting profiles out.
    """

    def __init__(self, name: str, args: GrafanaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("correlation", "Grafana", name, opts)
        namespace = args.settings.correlation.grafana_namespace
        self._config_map(
            namespace,
            "flameplane-datasources",
            {"flameplane-datasources.yaml": _datasources(args)},
            {"grafana_datasource": "1"},
        )
        self._config_map(
            namespace,
            "flameplane-dashboards",
            {"flameplane.json": json.dumps(dashboard(PROMETHEUS), indent=1) + "\n"},
            {"grafana_dashboard": "1"},
        )
        self._config_map(namespace, "grafana-hardening", _HARDENING, {})
        self.register_outputs({})

    def _config_map(self, namespace: str, name: str, data: dict[str, str], labels: dict[str, str]) -> None:
        ConfigMap(
            f"{namespace}/{name}",
            metadata=self.metadata(name, namespace, app="grafana-provisioning", labels=labels),
            data=data,
            opts=self.options(),
        )


_HARDENING: Final = {
    "GF_SECURITY_CONTENT_SECURITY_POLICY": "true",
    # Grafana's own template, but for connect-src: nothing but Grafana itself.
    "GF_SECURITY_CONTENT_SECURITY_POLICY_TEMPLATE": "script-src 'self' 'unsafe-eval' 'unsafe-inline' 'strict-dynamic' "
    "$NONCE;object-src 'none';font-src 'self';style-src 'self' 'unsafe-inline' blob:;img-src * data:;base-uri 'self';"
    "connect-src 'self' ws://$ROOT_PATH wss://$ROOT_PATH;manifest-src 'self';media-src 'none';form-action 'self';",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
}


def _datasources(args: GrafanaArgs) -> str:
    correlation = args.settings.correlation
    sources = [
        _source("Flameplane Prometheus", PROMETHEUS, "prometheus", correlation.prometheus_url, {"httpMethod": "POST"})
    ]
    for team in args.catalog.teams:
        for suffix, title in (("", "profiles"), (LONGTERM, "profiles, hourly")):
            # The tenant is part of the path, where the gateway checks it against the user's groups.
            url = f"{args.gateway_url}/tenant/{team.name}{suffix}"
            sources.append(
                _source(
                    f"{team.name}: {title}",
                    _uid(f"{team.name}{suffix}"),
                    "grafana-pyroscope-datasource",
                    url,
                    {"minStep": "1h" if suffix else "15s", "oauthPassThru": True},
                )
            )
        sources.append(
            _source(
                f"{team.name}: traces",
                _uid(f"{team.name}-traces"),
                "tempo",
                correlation.traces_url,
                {
                    "oauthPassThru": True,
                    "tracesToProfiles": {
                        "datasourceUid": _uid(team.name),
                        "profileTypeId": CPU,
                        "tags": [{"key": "service.name", "value": "service_name"}],
                        "customQuery": False,
                        "query": "",
                    },
                },
            )
        )
    # prune: a team that goes takes its data sources with it.
    return as_yaml({"apiVersion": 1, "prune": True, "datasources": sources})


def _uid(name: str) -> str:
    """Grafana's limit is 40 characters; a name that is too long is told apart by its hash."""
    uid = f"flameplane-{name}"
    return uid if len(uid) <= 40 else f"flameplane-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _source(name: str, uid: str, kind: str, url: str, json_data: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "uid": uid,
        "type": kind,
        "access": "proxy",
        "url": url,
        "editable": False,
        "jsonData": json_data,
    }
