"""Grafana's settings as environment variables: what keeps profiles in, and how people sign in to a Grafana of our own.

Names are those of Grafana's ``conf/defaults.ini`` (12 and 13): GF_<section>_<key>. ``$__file{...}`` is read by Grafana
itself, so that no secret is in the environment of the process.
"""

from typing import Final
from urllib.parse import urlsplit

from schemas.catalog import Catalog
from schemas.settings import Settings
from schemas.settings.correlation import Database, OwnGrafana

HTTP_PORT: Final = 3000
DATA: Final = "/var/lib/grafana"
PLUGINS: Final = "/opt/grafana-plugins"  # in the image, so that their versions are pinned by its digest
PROVISIONING: Final = "/etc/flameplane/grafana/provisioning"
SECRET: Final = "/etc/flameplane/grafana/secret"  # noqa: S105 - a folder

# Also for a Grafana that runs already, as `envFrom`: what leads profiles out of it by the browser or by the server.
HARDENING: Final = {
    "GF_SECURITY_CONTENT_SECURITY_POLICY": "true",
    # Grafana's own template, but for connect-src: nothing but Grafana itself.
    "GF_SECURITY_CONTENT_SECURITY_POLICY_TEMPLATE": "script-src 'self' 'unsafe-eval' 'unsafe-inline' 'strict-dynamic' "
    "$NONCE;object-src 'none';font-src 'self';style-src 'self' 'unsafe-inline' blob:;img-src * data:;base-uri 'self';"
    "connect-src 'self' ws://$ROOT_PATH wss://$ROOT_PATH;manifest-src 'self';media-src 'none';form-action 'self';",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_SNAPSHOTS_ENABLED": "false",  # a snapshot is a copy that its link opens to everybody
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_PUBLIC_DASHBOARDS_ENABLED": "false",
    # Explore, and Profiles Drilldown with it, from role Editor up.
    "GF_USERS_VIEWERS_CAN_EDIT": "false",
}
_OWN: Final = {
    "GF_SERVER_HTTP_PORT": str(HTTP_PORT),
    "GF_SERVER_ROUTER_LOGGING": "true",
    "GF_LOG_MODE": "console",
    "GF_PATHS_DATA": DATA,
    "GF_PATHS_PLUGINS": PLUGINS,
    "GF_PATHS_PROVISIONING": PROVISIONING,
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",  # nothing is fetched at start
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    "GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED": "true",
    "GF_METRICS_ENABLED": "false",  # they would be served on the port that people reach, without a login
    "GF_UNIFIED_ALERTING_ENABLED": "false",  # alerts are Prometheus'; Grafana's would be one more way out
    "GF_SECURITY_COOKIE_SECURE": "true",
    "GF_SECURITY_STRICT_TRANSPORT_SECURITY": "true",
    "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",  # nobody signs in but by OIDC
    "GF_SECURITY_SECRET_KEY": f"$__file{{{SECRET}/secret-key}}",
    "GF_AUTH_BASIC_ENABLED": "false",
    "GF_AUTH_DISABLE_LOGIN_FORM": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_USERS_ALLOW_ORG_CREATE": "false",
    "GF_AUTH_GENERIC_OAUTH_ENABLED": "true",
    "GF_AUTH_GENERIC_OAUTH_NAME": "single sign-on",
    "GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET": f"$__file{{{SECRET}/client-secret}}",
    # offline_access: the forwarded token is renewed while a page stays open.
    "GF_AUTH_GENERIC_OAUTH_SCOPES": "openid profile email groups offline_access",
    "GF_AUTH_GENERIC_OAUTH_USE_PKCE": "true",
    "GF_AUTH_GENERIC_OAUTH_USE_REFRESH_TOKEN": "true",
    "GF_AUTH_GENERIC_OAUTH_ALLOW_SIGN_UP": "true",
    "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_STRICT": "true",
    "GF_AUTH_GENERIC_OAUTH_ALLOW_ASSIGN_GRAFANA_ADMIN": "false",
    "GF_AUTH_GENERIC_OAUTH_SKIP_ORG_ROLE_SYNC": "false",
}


def own_settings(settings: Settings, catalog: Catalog, grafana: OwnGrafana, gateway_url: str) -> dict[str, str]:
    """All variables of a Grafana of our own but for the hardening."""
    correlation = settings.correlation
    reached = (gateway_url, correlation.traces_url, correlation.prometheus_url)
    return {
        **_OWN,
        "GF_SERVER_ROOT_URL": grafana.url,
        # Whatever data source somebody adds, tokens are sent to these and to nobody else.
        "GF_SECURITY_DATA_SOURCE_PROXY_WHITELIST": " ".join(dict.fromkeys(_host_and_port(url) for url in reached)),
        "GF_AUTH_GENERIC_OAUTH_CLIENT_ID": grafana.oidc.client_id,
        "GF_AUTH_GENERIC_OAUTH_AUTH_URL": grafana.oidc.auth_url,
        "GF_AUTH_GENERIC_OAUTH_TOKEN_URL": grafana.oidc.token_url,
        "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_PATH": roles(settings.access.groups_claim, catalog),
        **(_database(grafana.database) if grafana.database else {}),
    }


def roles(claim: str, catalog: Catalog) -> str:
    """JMESPath over the claims: platform groups are Admin, readers of any team Editor, everybody else is refused.

    The role opens Grafana, never a tenant: that is the gateway's, by the same groups.
    """

    def one_of(groups: list[str]) -> str:
        return " || ".join(f"contains(\"{claim}\"[*], '{group}')" for group in groups)

    platform = list(catalog.organisation.spec.platform_groups)
    readers = sorted({group for team in catalog.teams for group in team.spec.groups})
    return f"({one_of(platform)}) && 'Admin' || ({one_of(readers)}) && 'Editor'"


def _database(database: Database) -> dict[str, str]:
    return {
        "GF_DATABASE_TYPE": "postgres",
        "GF_DATABASE_HOST": f"{database.host}:{database.port}",
        "GF_DATABASE_NAME": database.name,
        "GF_DATABASE_USER": database.user,
        "GF_DATABASE_PASSWORD": f"$__file{{{SECRET}/database-password}}",
        "GF_DATABASE_SSL_MODE": "verify-full",
        "GF_DATABASE_CA_CERT_PATH": f"{SECRET}/database-ca",
    }


def _host_and_port(url: str) -> str:
    parsed = urlsplit(url)
    return f"{parsed.hostname}:{parsed.port or {'http': 80, 'https': 443}[parsed.scheme]}"
