"""What the gateway enforces: who reads and writes which tenant, and which CI job may ask about which service."""

from collections.abc import Iterator
from typing import Any, Final

from components import tls
from components.aws.roles import AUDIT_PREFIX
from components.aws.site import AUDIT, site_of
from components.backend_urls import BackendUrls
from components.pods import GATEWAY_AUDIENCE
from components.pyroscope_config import LONGTERM
from components.text import as_yaml
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.service import Service
from schemas.settings import Settings
from schemas.team import Team

# What the gateway answers for Profiles Drilldown's settings in place of the backend, which would store them per tenant.
# The plugin's default for the first is true: the browser then offers to post the profile to a public site.
_PLUGIN_SETTINGS: Final = {"enableFlameGraphDotComExport": False, "collapsedFlamegraphs": False, "maxNodes": 16384}
# What one tenant may ask of one replica, so that no team slows another's down. It does not keep the pod inside its
# 512 Mi: one answer of 12 MB costs some 150 MB while it is decoded, encoded anew and held until its line is on record,
# and four at once are more than there is. That is what the budget of all requests together is for
# (dataplane/internal/door/budget.go). In JSON, which takes more, it lets answers of some 7 MB through.
_LIMITS: Final = {
    "bodyMegabytes": 16,
    "answerMegabytes": 12,
    "requestsPerSecond": 50,
    "pushesPerSecond": 200,
    "concurrentQueries": 8,
    "windowDays": 90,  # the longest that anything is kept
    "maxNodes": 16384,  # Grafana asks for so many
}


def gateway_config(settings: Settings, catalog: Catalog, backend: BackendUrls) -> str:
    """gateway.yaml. Tenants are computed from it, never taken from a header."""
    access = settings.access
    return _yaml(
        {
            **read_once(settings, catalog, backend),
            "people": {
                "issuer": access.issuer,
                "audience": access.audience,
                "groupsClaim": access.groups_claim,
                "platformGroups": list(catalog.organisation.spec.platform_groups),
            },
            "tenants": [
                {"tenant": team.name, "longterm": f"{team.name}{LONGTERM}", "readers": _readers(team)}
                for team in catalog.teams
            ],
            "programs": {"audience": GATEWAY_AUDIENCE, "accounts": list(_programs())},
            "pluginSettings": _PLUGIN_SETTINGS,
        }
    )


def read_once(settings: Settings, catalog: Catalog, backend: BackendUrls) -> dict[str, Any]:
    """What the gateway reads when it starts, and in part never again: sizes, where profiles go, the record of it."""
    return {
        "limits": _LIMITS,
        "backend": {**backend.as_config(), **({"tls": _tls()} if settings.backend.tls else {})},
        **({"audit": _audit(settings, catalog)} if settings.cloud else {}),
    }


def _readers(team: Team) -> list[str]:
    """Nobody reads what is being erased but the platform's own people, who prove that it is gone."""
    return [] if team.spec.erase else list(team.spec.groups)


def _tls() -> dict[str, str]:
    """The gateway's certificate, which Pyroscope asks for, and who signs Pyroscope's. Read again when they change."""
    names = {"certificate": tls.CERTIFICATE, "key": tls.KEY, "ca": tls.CA}
    return {what: f"{tls.CLIENT_FOLDER}/{name}" for what, name in names.items()}


def _audit(settings: Settings, catalog: Catalog) -> dict[str, str]:
    """Where audit lines are shipped to, beside stdout. The gateway's role may add there, not read and not delete."""
    site = site_of(settings, catalog.organisation.metadata.name)
    storage = settings.backend.object_storage
    return {
        "bucket": site.bucket(AUDIT),
        "prefix": AUDIT_PREFIX,
        "region": site.cloud.region,
        "endpoint": storage.endpoint,
    }


def _programs() -> Iterator[dict[str, Any]]:
    """Our own programs, by service account. ``write: team`` is the tenant of the profile's verified `team` label."""
    yield {"account": f"{AGENT_NAMESPACE}/flameplane-node", "write": "team"}
    yield {"account": f"{SYSTEM_NAMESPACE}/flameplane-downsample", "read": "tenants", "write": "longterm"}
    yield {"account": f"{SYSTEM_NAMESPACE}/flameplane-drift", "read": "tenants"}
    yield {"account": f"{SYSTEM_NAMESPACE}/flameplane-cost-report", "read": "totals"}
    yield {"account": f"{ACCESS_NAMESPACE}/ci-gate", "read": "ci-gate"}


def ci_gate_config(settings: Settings, catalog: Catalog) -> dict[str, str]:
    """The gate's half: trust.yaml (whose tokens count) and services.yaml (what they may read, published settings)."""
    regression = settings.regression
    trust = {"issuers": list(regression.trusted_issuers), "audience": regression.ci_audience}
    services = [_gated(service) for service in catalog.services if service.spec.gate.mode != "off"]
    return {"trust.yaml": _yaml(trust), "services.yaml": _yaml({"services": services})}


def _gated(service: Service) -> dict[str, Any]:
    spec = service.spec
    gate = spec.gate
    return {
        "service": service.name,
        "repository": service.metadata.repository,
        # All that the job's token opens: CPU profiles of this service in its team's tenant, of the window and a margin.
        "reads": {"tenant": service.team, "types": ["cpu"], "windowMinutes": 2 * gate.window_minutes + 10},
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


def _yaml(document: dict[str, Any]) -> str:
    return as_yaml(document)
