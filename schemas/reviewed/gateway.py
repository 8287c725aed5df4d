"""The gateway's configuration as it was reviewed: whose tokens count, who reads which tenant, where audit records go.

Written apart from components/gateway_config.py on purpose: an edit there alone is then noticed.
"""

from typing import Any, Final

from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, BACKEND_NAMESPACE, SYSTEM_NAMESPACE, TOKEN_AUDIENCES
from schemas.catalog import Catalog
from schemas.service import Service
from schemas.settings import Settings

GATEWAY: Final = (ACCESS_NAMESPACE, "gateway")
CI_GATE: Final = (ACCESS_NAMESPACE, "ci-gate")
GRANTS: Final = (ACCESS_NAMESPACE, "grants")  # whole as exports/ declares them: `policies.context.exports`
LONGTERM: Final = "-longterm"
# The three doors of the backend; with one process they are one.
_DOORS: Final = {"write": "distributor", "read": "query-frontend", "settings": "tenant-settings"}
_PORT: Final = 4040
_TLS: Final = {
    "certificate": "/etc/flameplane/backend-tls/tls.crt",
    "key": "/etc/flameplane/backend-tls/tls.key",
    "ca": "/etc/flameplane/backend-tls/ca.crt",
}
# Our own programs: each writes or reads this and nothing more. `team`: the tenant of the profile's verified label;
# `tenants`: all of them; `totals`: sums without names of functions; `ci-gate`: what services.yaml opens.
PROGRAMS: Final = (
    {"account": f"{AGENT_NAMESPACE}/flameplane-node", "write": "team"},
    {"account": f"{SYSTEM_NAMESPACE}/flameplane-downsample", "read": "tenants", "write": "longterm"},
    {"account": f"{SYSTEM_NAMESPACE}/flameplane-drift", "read": "tenants"},
    {"account": f"{SYSTEM_NAMESPACE}/flameplane-cost-report", "read": "totals"},
    {"account": f"{ACCESS_NAMESPACE}/ci-gate", "read": "ci-gate"},
)
# What Profiles Drilldown is answered: the first is true by default, and posts profiles to a public site.
PLUGIN_SETTINGS: Final = {"enableFlameGraphDotComExport": False, "collapsedFlamegraphs": False, "maxNodes": 16384}
# Of one tenant at one replica: megabytes, requests a second, queries at once, days of one query, nodes of one graph.
LIMITS: Final = {
    "bodyMegabytes": 16,
    "answerMegabytes": 12,
    "requestsPerSecond": 50,
    "pushesPerSecond": 200,
    "concurrentQueries": 8,
    "windowDays": 90,
    "maxNodes": 16384,
}
_MARGIN_MINUTES: Final = 10  # beside baseline and candidate, what a job's token opens


def gateway_file(settings: Settings, catalog: Catalog) -> dict[str, Any]:
    """gateway.yaml of an environment."""
    access = settings.access
    wanted: dict[str, Any] = {
        "backend": _backend(settings),
        "people": {
            "issuer": access.issuer,
            "audience": access.audience,
            "groupsClaim": access.groups_claim,
            "platformGroups": list(catalog.organisation.spec.platform_groups),
        },
        "tenants": [
            {
                "tenant": team.name,
                "longterm": f"{team.name}{LONGTERM}",
                "readers": [] if team.spec.erase else list(team.spec.groups),
            }
            for team in catalog.teams
        ],
        "programs": {"audience": TOKEN_AUDIENCES[0], "accounts": list(PROGRAMS)},
        "limits": LIMITS,
        "pluginSettings": PLUGIN_SETTINGS,
    }
    if settings.cloud:
        wanted["audit"] = _audit(settings, catalog.organisation.metadata.name)
    return wanted


def _backend(settings: Settings) -> dict[str, Any]:
    backend = settings.backend
    scheme, split = "https" if backend.tls else "http", backend.architecture == "microservices"
    whole = "devstore" if backend.architecture == "devstore" else "pyroscope"
    urls = {
        kind: f"{scheme}://{f'pyroscope-{role}' if split else whole}.{BACKEND_NAMESPACE}.svc:{_PORT}"
        for kind, role in _DOORS.items()
    }
    return {**urls, **({"tls": _TLS} if backend.tls else {})}


def _audit(settings: Settings, organisation: str) -> dict[str, str]:
    """The audit bucket, never the profiles' one: its role may write there alone, and nobody may delete there."""
    assert settings.cloud
    usual = f"{organisation}-flameplane-audit-{settings.environment}"
    return {
        "bucket": settings.cloud.buckets.audit or usual,
        "prefix": "gateway/",
        "region": settings.cloud.region,
        "endpoint": settings.backend.object_storage.endpoint,
    }


def trust_file(settings: Settings) -> dict[str, Any]:
    """trust.yaml of the gate: whose tokens of CI jobs count."""
    return {"issuers": list(settings.regression.trusted_issuers), "audience": settings.regression.ci_audience}


def gated_file(catalog: Catalog) -> dict[str, Any]:
    """services.yaml of the gate: what the job of a repository may read, and how it is judged."""
    return {"services": [_gated(service) for service in catalog.services if service.spec.gate.mode != "off"]}


def _gated(service: Service) -> dict[str, Any]:
    spec, gate = service.spec, service.spec.gate
    window = 2 * gate.window_minutes + _MARGIN_MINUTES
    return {
        "service": service.name,
        "repository": service.metadata.repository,
        "reads": {"tenant": service.team, "types": ["cpu"], "windowMinutes": window},
        "gate": {
            "topN": gate.top_n,
            "windowMinutes": gate.window_minutes,
            "mode": gate.mode,
            "baseline": gate.baseline.track,
            "candidate": gate.candidate.track,
            "sampleRateHz": spec.profiling.sample_rate_hz,
            "ownPrefixes": list(spec.source.own_prefixes),
            "requests": spec.requests.query if spec.requests else None,
        },
    }
