"""Grafana: each user's own token goes to the gateway, and the browser posts profiles nowhere else."""

from collections.abc import Iterator

from guards.configs import document
from guards.stack import Guard, Stack
from policies.objects import at, items
from schemas.allowed import ACCESS_NAMESPACE

FIELDS = {"name", "uid", "type", "access", "url", "editable", "jsonData"}  # none by which a credential is stored
JSON_FIELDS = {"oauthPassThru", "minStep", "tracesToProfiles", "httpMethod"}  # none by which a header is added
HARDENING = {
    "GF_SECURITY_CONTENT_SECURITY_POLICY": "true",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
}
DIRECTIVES = ("connect-src 'self' ws://$ROOT_PATH wss://$ROOT_PATH;", "form-action 'self';", "object-src 'none';")


def grafana_is_not_trusted(stack: Stack) -> Iterator[str]:
    correlation = stack.settings.correlation
    found = (
        document(stack, correlation.grafana_namespace, "flameplane-datasources", "flameplane-datasources.yaml") or {}
    )
    sources = list(items(found.get("datasources")))
    gateway = f"http://gateway.{ACCESS_NAMESPACE}.svc:4040/tenant"
    expected = [("prometheus", correlation.prometheus_url)]
    for team in stack.catalog.teams:
        expected += [("grafana-pyroscope-datasource", f"{gateway}/{team.name}{suffix}") for suffix in ("", "-longterm")]
        expected.append(("tempo", correlation.traces_url))
    if sorted((source["type"], source["url"]) for source in sources) != sorted(expected):
        yield f"data sources lead to {sorted((source['type'], source['url']) for source in sources)}"
    for source in sources:
        passes = at(source, "jsonData", "oauthPassThru") is True or source["type"] == "prometheus"
        bare = source.keys() <= FIELDS and source["jsonData"].keys() <= JSON_FIELDS
        if not (passes and bare) or source.get("access") != "proxy" or source.get("editable") is not False:
            yield f"data source {source['name']}: {source}"


def browsers_post_profiles_nowhere(stack: Stack) -> Iterator[str]:
    where = stack.settings.correlation.grafana_namespace
    data = next((m.get("data") or {} for m in stack.named("ConfigMap", where, "grafana-hardening")), {})
    policy = str(data.get("GF_SECURITY_CONTENT_SECURITY_POLICY_TEMPLATE"))
    if any(data.get(key) != value for key, value in HARDENING.items()) or any(d not in policy for d in DIRECTIVES):
        yield f"grafana-hardening: {data}"


GUARDS = (
    Guard(grafana_is_not_trusted, ("ConfigMap",)),
    Guard(browsers_post_profiles_nowhere, ("ConfigMap",)),
)
