"""Grafana as it was reviewed: what keeps profiles in, how people sign in, which data sources there are.

Names are those of Grafana's conf/defaults.ini (12 and 13): GF_<section>_<key>. A setting that is not here has Grafana's
default; these are the ones whose default, or whose change, lets something out or somebody in. Written apart from
components/grafana_settings.py and grafana_sources.py on purpose: an edit there alone is then noticed.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from schemas.allowed import ACCESS_NAMESPACE, SPAN_PROFILE_LANGUAGES
from schemas.catalog import Catalog
from schemas.reviewed.forms import Text
from schemas.settings import Settings
from schemas.settings.correlation import OwnGrafana

HARDENING_MAP: Final = "grafana-hardening"
PROVIDERS: Final = (ACCESS_NAMESPACE, "grafana-providers")
SERVER: Final = (ACCESS_NAMESPACE, "grafana")
LONGTERM: Final = "-longterm"
GATEWAY: Final = f"http://gateway.{ACCESS_NAMESPACE}.svc:4040"
CPU: Final = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
_UID_LENGTH: Final = 40  # Grafana's limit
# For every Grafana: reports, news and avatars tell outsiders; snapshots and public dashboards are links for everybody;
# connect-src 'self' is what stops the browser from posting a profile.
HARDENING: Final = {
    "GF_SECURITY_CONTENT_SECURITY_POLICY": "true",
    "GF_SECURITY_CONTENT_SECURITY_POLICY_TEMPLATE": "script-src 'self' 'unsafe-eval' 'unsafe-inline' 'strict-dynamic' "
    "$NONCE;object-src 'none';font-src 'self';style-src 'self' 'unsafe-inline' blob:;img-src * data:;base-uri 'self';"
    "connect-src 'self' ws://$ROOT_PATH wss://$ROOT_PATH;manifest-src 'self';media-src 'none';form-action 'self';",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    **dict.fromkeys(
        (
            *("GF_AUTH_ANONYMOUS_ENABLED", "GF_USERS_VIEWERS_CAN_EDIT", "GF_NEWS_NEWS_FEED_ENABLED"),
            *("GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES"),
            *("GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED"),
            *("GF_SNAPSHOTS_ENABLED", "GF_SNAPSHOTS_EXTERNAL_ENABLED", "GF_PUBLIC_DASHBOARDS_ENABLED"),
        ),
        "false",
    ),
}
_SECRET: Final = "/etc/flameplane/grafana/secret"  # noqa: S105 - a folder
_OWN: Final = {
    "GF_SERVER_HTTP_PORT": "3000",
    "GF_LOG_MODE": "console",
    "GF_PATHS_DATA": "/var/lib/grafana",
    "GF_PATHS_PLUGINS": "/opt/grafana-plugins",  # in the image: their versions are pinned by its digest
    "GF_PATHS_PROVISIONING": "/etc/flameplane/grafana/provisioning",
    # By a file: no secret in the environment, and none but the Secret's.
    "GF_SECURITY_SECRET_KEY": f"$__file{{{_SECRET}/secret-key}}",
    "GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET": f"$__file{{{_SECRET}/client-secret}}",
    "GF_AUTH_GENERIC_OAUTH_NAME": "single sign-on",
    "GF_AUTH_GENERIC_OAUTH_SCOPES": "openid profile email groups offline_access",
    **dict.fromkeys(
        (
            *("GF_SERVER_ROUTER_LOGGING", "GF_PLUGINS_PREINSTALL_DISABLED"),
            *("GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED", "GF_SECURITY_COOKIE_SECURE"),
            *("GF_SECURITY_STRICT_TRANSPORT_SECURITY", "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"),
            *("GF_AUTH_DISABLE_LOGIN_FORM", "GF_AUTH_GENERIC_OAUTH_ENABLED", "GF_AUTH_GENERIC_OAUTH_USE_PKCE"),
            *("GF_AUTH_GENERIC_OAUTH_USE_REFRESH_TOKEN", "GF_AUTH_GENERIC_OAUTH_ALLOW_SIGN_UP"),
            "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_STRICT",
        ),
        "true",
    ),
    **dict.fromkeys(
        (
            *("GF_PLUGINS_PLUGIN_ADMIN_ENABLED", "GF_METRICS_ENABLED", "GF_UNIFIED_ALERTING_ENABLED"),
            *("GF_AUTH_BASIC_ENABLED", "GF_USERS_ALLOW_SIGN_UP", "GF_USERS_ALLOW_ORG_CREATE"),
            *("GF_AUTH_GENERIC_OAUTH_ALLOW_ASSIGN_GRAFANA_ADMIN", "GF_AUTH_GENERIC_OAUTH_SKIP_ORG_ROLE_SYNC"),
        ),
        "false",
    ),
}


def environment(settings: Settings, catalog: Catalog, grafana: OwnGrafana) -> dict[str, Any]:
    """Every variable of a Grafana of our own, but for who gets which role: see ``roles``."""
    correlation, oidc, database = settings.correlation, grafana.oidc, grafana.database
    reached = dict.fromkeys(_origin(u) for u in (GATEWAY, correlation.traces_url, correlation.prometheus_url))
    wanted: dict[str, Any] = {
        **HARDENING,
        **_OWN,
        "GF_SERVER_ROOT_URL": grafana.url,
        "GF_SECURITY_DATA_SOURCE_PROXY_WHITELIST": " ".join(reached),  # where users' tokens may be sent
        "GF_AUTH_GENERIC_OAUTH_CLIENT_ID": oidc.client_id,
        "GF_AUTH_GENERIC_OAUTH_AUTH_URL": oidc.auth_url,
        "GF_AUTH_GENERIC_OAUTH_TOKEN_URL": oidc.token_url,
        "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_PATH": roles(
            settings.access.groups_claim,
            list(catalog.organisation.spec.platform_groups),
            [group for team in catalog.teams for group in team.spec.groups],
        ),
    }
    if database:
        wanted |= {
            "GF_DATABASE_TYPE": "postgres",
            "GF_DATABASE_HOST": f"{database.host}:{database.port}",
            "GF_DATABASE_NAME": database.name,
            "GF_DATABASE_USER": database.user,
            "GF_DATABASE_PASSWORD": f"$__file{{{_SECRET}/database-password}}",
            "GF_DATABASE_SSL_MODE": "verify-full",
            "GF_DATABASE_CA_CERT_PATH": f"{_SECRET}/database-ca",
        }
    return wanted


def roles(claim: str, platform: list[str], readers: list[str]) -> str:
    """Platform groups are Admin, readers of any team Editor, and nobody else gets in (JMESPath over the claims)."""

    def one_of(groups: list[str]) -> str:
        return " || ".join(f"contains(\"{claim}\"[*], '{group}')" for group in groups)

    return f"({one_of(platform)}) && 'Admin' || ({one_of(sorted(set(readers)))}) && 'Editor'"


def datasources_file(settings: Settings, catalog: Catalog) -> dict[str, Any]:
    """The data sources: of each team two through the gateway and its traces, and one Prometheus. No header, no
    password and no skipped certificate: what somebody reads is decided by the token that he himself brings."""
    correlation = settings.correlation
    prometheus = {"httpMethod": "POST"}
    sources = [
        _source("Flameplane Prometheus", "flameplane-prometheus", "prometheus", correlation.prometheus_url, prometheus)
    ]
    for team in catalog.teams:
        for suffix, title, step in (("", "profiles", "15s"), (LONGTERM, "profiles, hourly", "1h")):
            tenant = f"{team.name}{suffix}"
            url, data = f"{GATEWAY}/tenant/{tenant}", {"minStep": step, "oauthPassThru": True}
            sources.append(_source(f"{team.name}: {title}", _uid(tenant), "grafana-pyroscope-datasource", url, data))
        spans = any(
            s.spec.profiling.cpu_source == "agent" and s.spec.language.name in SPAN_PROFILE_LANGUAGES
            for s in catalog.of_team(team.name)
        )
        data = {"oauthPassThru": True, **({"tracesToProfiles": _spans(team.name)} if spans else {})}
        traces = _source(f"{team.name}: traces", _uid(f"{team.name}-traces"), "tempo", correlation.traces_url, data)
        sources.append(traces | {"correlations": [_window(team.name)]})
    return {"apiVersion": 1, "prune": True, "datasources": sources}


def dashboard_file(found: Mapping[str, Any]) -> dict[str, Any]:
    """The dashboard: graphs of the platform's own Prometheus, and neither texts nor links. What they show is free."""
    source = {"type": "prometheus", "uid": "flameplane-prometheus"}
    any_text = Text(r"(?s)[^<>]*", "a text without markup")
    panel = {
        "type": "timeseries",
        "datasource": source,
        "title": any_text,
        "fieldConfig": {"defaults": {"unit": any_text}, "overrides": []},
        "targets": [
            {"refId": "A", "datasource": source, "expr": Text(r"(?s).+", "a query", "up"), "legendFormat": any_text}
        ],
    }
    free = {key: found[key] for key in ("refresh", "time", "tags") if key in found}
    places = [{key: p.get(key) for key in ("id", "gridPos")} for p in found.get("panels") or () if hasattr(p, "get")]
    panels = [{**panel, **place} for place in places] or [panel]
    title = {"uid": "flameplane", "title": "Flameplane: cost and health", "schemaVersion": 39, "editable": False}
    return {**title, **free, "panels": panels}


def providers_file() -> dict[str, Any]:
    """Dashboards come from one folder, and nobody changes them in the browser."""
    folder = {"path": "/etc/flameplane/grafana/dashboards"}
    provider = {"name": "flameplane", "allowUiUpdates": False, "disableDeletion": True, "options": folder}
    return {"apiVersion": 1, "providers": [provider]}


def _source(name: str, uid: str, kind: str, url: str, data: dict[str, Any]) -> dict[str, Any]:
    named = {"name": name, "uid": uid, "type": kind, "access": "proxy"}
    return {**named, "url": url, "editable": False, "jsonData": data}


def _spans(team: str) -> dict[str, Any]:
    tags = [{"key": "service.name", "value": "service_name"}]
    return {"datasourceUid": _uid(team), "profileTypeId": CPU, "tags": tags, "customQuery": False, "query": ""}


def _window(team: str) -> dict[str, Any]:
    target = {
        "queryType": "profile",
        "profileTypeId": CPU,
        "labelSelector": '{service_name="$${serviceName}"}',
        "groupBy": [],
    }
    return {
        "targetUID": _uid(team),
        "label": "CPU profile of the service",
        "description": "All requests of the service in the time shown, not this span alone.",
        "type": "query",
        "config": {"field": "serviceName", "target": target},
    }


def _uid(name: str) -> str:
    uid = f"flameplane-{name}"
    return uid if len(uid) <= _UID_LENGTH else f"flameplane-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _origin(url: str) -> str:
    parsed = urlsplit(url)
    return f"{parsed.hostname}:{parsed.port or {'http': 80, 'https': 443}[parsed.scheme]}"
