"""Grafana compared with what was reviewed (schemas/reviewed/grafana.py); a part of rule FP035."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policies.compare import differences, shown
from policies.context import Platform
from policies.documents import compared, in_files
from policies.objects import at, breaks, containers, documents, items
from policies.rule import Manifest, Violation
from schemas.reviewed import gateway, grafana
from schemas.settings.correlation import OwnGrafana

_ROLES: Final = "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_PATH"


def judged(platform: Platform) -> Iterator[Violation]:
    """All that Grafana is provisioned with, and the variables of our own."""
    settings, catalog = platform.settings, platform.catalog
    where = settings.correlation.grafana_namespace
    yield from _hardening(platform, where)
    sources = {"flameplane-datasources.yaml": grafana.datasources_file(settings, catalog)}
    yield from compared(platform, (where, "flameplane-datasources"), sources)
    boards = platform.find("ConfigMap", where, "flameplane-dashboards")
    if boards is None:
        yield Violation(f"no ConfigMap flameplane-dashboards in {where}")
    else:
        found = documents(boards).get("flameplane.json")
        wanted = grafana.dashboard_file(found if isinstance(found, Mapping) else {})
        yield from in_files(boards, {"flameplane.json": wanted})
    if isinstance(settings.correlation.grafana, OwnGrafana):
        yield from compared(platform, grafana.PROVIDERS, {"flameplane.yaml": grafana.providers_file()})
        if server := platform.find("Deployment", *grafana.SERVER):
            yield from _environment(platform, server, settings.correlation.grafana)


def _hardening(platform: Platform, where: str) -> Iterator[Violation]:
    manifest = platform.find("ConfigMap", where, grafana.HARDENING_MAP)
    if manifest is None:
        yield Violation(f"no ConfigMap {grafana.HARDENING_MAP} in {where}")
        return
    found = {str(key): value for field in ("data", "binaryData") for key, value in (manifest.get(field) or {}).items()}
    yield from (breaks(manifest, how) for how in differences(found, grafana.HARDENING))


def _environment(platform: Platform, server: Manifest, own: OwnGrafana) -> Iterator[Violation]:
    wanted = grafana.environment(platform.settings, platform.catalog, own)
    for container in containers(server):
        found: dict[str, Any] = {}
        for variable in items(container.body.get("env")):
            name = str(variable.get("name"))
            if name in found:
                yield container.breaks(f"sets {name} twice")
            if more := sorted(set(variable) - {"name", "value"}):
                yield container.breaks(f"takes {name} from elsewhere ({more[0]}); Grafana's secrets are files")
            found[name] = variable.get("value")
        if found.get(_ROLES) in _roles(platform):
            wanted = {**wanted, _ROLES: found.get(_ROLES)}
        for how in differences(found, wanted):
            yield container.breaks(how)
        for source in items(container.body.get("envFrom")):
            yield container.breaks(f"takes settings from elsewhere (envFrom {shown(str(source))})")


def _roles(platform: Platform) -> list[str]:
    """Who may sign in, as the gateway has it: where that differs from services/, rule FP053 or FP011 says so."""
    config = platform.find("ConfigMap", *gateway.GATEWAY)
    document = documents(config).get("gateway.yaml") if config else None
    groups = at(document, "people", "platformGroups")
    readers = [str(g) for tenant in items(at(document, "tenants")) for g in items(at(tenant, "readers"))]
    return [grafana.roles(platform.settings.access.groups_claim, [str(g) for g in items(groups)], readers)]
