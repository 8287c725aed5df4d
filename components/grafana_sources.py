"""Grafana's data sources: per team through the gateway, and the links from spans to profiles."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from components.pyroscope_config import LONGTERM
from components.text import as_yaml
from schemas.allowed import SPAN_PROFILE_LANGUAGES
from schemas.catalog import Catalog
from schemas.service import Service
from schemas.settings import Correlation

CPU: Final = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
PROMETHEUS: Final = "flameplane-prometheus"  # uid


def datasources(correlation: Correlation, catalog: Catalog, gateway_url: str) -> str:
    """The provisioning file. Each user's own token is forwarded (``oauthPassThru``); the gateway decides who reads."""
    prometheus = {"httpMethod": "POST"}
    sources = [_source("Flameplane Prometheus", PROMETHEUS, "prometheus", correlation.prometheus_url, prometheus)]
    for team in catalog.teams:
        for suffix, title in (("", "profiles"), (LONGTERM, "profiles, hourly")):
            # The tenant is part of the path, where the gateway checks it against the user's groups.
            url = f"{gateway_url}/tenant/{team.name}{suffix}"
            data = {"minStep": "1h" if suffix else "15s", "oauthPassThru": True}
            kind = "grafana-pyroscope-datasource"
            sources.append(_source(f"{team.name}: {title}", _uid(f"{team.name}{suffix}"), kind, url, data))
        traces = _source(
            f"{team.name}: traces",
            _uid(f"{team.name}-traces"),
            "tempo",
            correlation.traces_url,
            {"oauthPassThru": True, **_spans(team.name, catalog.of_team(team.name))},
        )
        sources.append(traces | {"correlations": [_window(team.name)]})
    # prune: a team that goes takes its data sources with it.
    return as_yaml({"apiVersion": 1, "prune": True, "datasources": sources})


def has_span_profiles(service: Service) -> bool:
    """Whether samples can carry the id of a span: CPU comes from a profiler inside the process that has a bridge."""
    spec = service.spec
    return spec.profiling.cpu_source == "agent" and spec.language.name in SPAN_PROFILE_LANGUAGES


def _spans(team: str, services: Sequence[Service]) -> dict[str, Any]:
    """The profile of one span, for teams that have any. For other services the link would lead to an error."""
    if not any(has_span_profiles(service) for service in services):
        return {}
    return {
        "tracesToProfiles": {
            "datasourceUid": _uid(team),
            "profileTypeId": CPU,
            "tags": [{"key": "service.name", "value": "service_name"}],
            "customQuery": False,
            "query": "",
        }
    }


def _window(team: str) -> dict[str, Any]:
    """From any span to the CPU profile of its service in the time shown: all that eBPF and Node.js can offer."""
    return {
        "targetUID": _uid(team),
        "label": "CPU profile of the service",
        "description": "All requests of the service in the time shown, not this span alone.",
        "type": "query",
        "config": {
            "field": "serviceName",
            "target": {
                "queryType": "profile",
                "profileTypeId": CPU,
                # $$: Grafana fills in variables of the environment first, and would find none of this name.
                "labelSelector": '{service_name="$${serviceName}"}',
                "groupBy": [],
            },
        },
    }


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
