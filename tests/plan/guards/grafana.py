"""Grafana: each user's own token goes to the gateway, and the browser posts profiles nowhere else."""

from collections.abc import Iterator

from guards.configs import document
from guards.stack import Guard, Stack
from policies.objects import WORKLOADS, at, containers, items
from schemas.allowed import ACCESS_NAMESPACE

# None by which a credential is stored.
FIELDS = {"name", "uid", "type", "access", "url", "editable", "jsonData", "correlations"}
JSON_FIELDS = {"oauthPassThru", "minStep", "tracesToProfiles", "httpMethod"}  # none by which a header is added
HARDENING = {
    "GF_SECURITY_CONTENT_SECURITY_POLICY": "true",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_SNAPSHOTS_ENABLED": "false",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_PUBLIC_DASHBOARDS_ENABLED": "false",
    "GF_USERS_VIEWERS_CAN_EDIT": "false",
}
# A Grafana of our own: no login but single sign-on, nothing fetched, nobody trusted by default.
OWN = {
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    "GF_METRICS_ENABLED": "false",
    "GF_UNIFIED_ALERTING_ENABLED": "false",
    "GF_SECURITY_COOKIE_SECURE": "true",
    "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
    "GF_AUTH_BASIC_ENABLED": "false",
    "GF_AUTH_DISABLE_LOGIN_FORM": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_USERS_ALLOW_ORG_CREATE": "false",
    "GF_AUTH_GENERIC_OAUTH_ENABLED": "true",
    "GF_AUTH_GENERIC_OAUTH_USE_PKCE": "true",
    "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_STRICT": "true",
    "GF_AUTH_GENERIC_OAUTH_ALLOW_ASSIGN_GRAFANA_ADMIN": "false",
    "GF_AUTH_GENERIC_OAUTH_SKIP_ORG_ROLE_SYNC": "false",
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


def our_own_trusts_no_one(stack: Stack) -> Iterator[str]:
    correlation, grafana = stack.settings.correlation, stack.settings.correlation.grafana
    if grafana.mode != "own":
        return
    (container,) = containers(next(iter(stack.named("Deployment", ACCESS_NAMESPACE, "grafana"))))
    data = {variable["name"]: variable.get("value") or "" for variable in items(container.body.get("env"))}
    policy = data.get("GF_SECURITY_CONTENT_SECURITY_POLICY_TEMPLATE", "")
    if any(directive not in policy for directive in DIRECTIVES):
        yield f"grafana: {policy}"
    expected = {
        **HARDENING,
        **OWN,
        "GF_SERVER_ROOT_URL": grafana.url,
        "GF_AUTH_GENERIC_OAUTH_AUTH_URL": grafana.oidc.auth_url,
        "GF_AUTH_GENERIC_OAUTH_TOKEN_URL": grafana.oidc.token_url,
    }
    if grafana.database:
        expected |= {"GF_DATABASE_TYPE": "postgres", "GF_DATABASE_SSL_MODE": "verify-full"}
    yield from (f"grafana: {k} is {data.get(k)}" for k, v in expected.items() if data.get(k) != v)
    for key, value in data.items():
        if key.endswith(("_SECRET", "_PASSWORD", "_KEY")) and not value.startswith("$__file{"):
            yield f"grafana holds a secret: {key}"
    urls = (f"http://gateway.{ACCESS_NAMESPACE}.svc:4040", correlation.traces_url, correlation.prometheus_url)
    reached = {url.partition("://")[2].partition("/")[0] for url in urls}
    if set(str(data.get("GF_SECURITY_DATA_SOURCE_PROXY_WHITELIST")).split()) != reached:
        yield f"grafana: tokens may go to {data.get('GF_SECURITY_DATA_SOURCE_PROXY_WHITELIST')}"


GUARDS = (
    Guard(our_own_trusts_no_one, WORKLOADS),
    Guard(grafana_is_not_trusted, ("ConfigMap",)),
    Guard(browsers_post_profiles_nowhere, ("ConfigMap",)),
)
