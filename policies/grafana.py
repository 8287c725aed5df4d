"""Grafana compared with what was reviewed (schemas/reviewed/grafana.py); a part of rule FP035."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policies.backstop import Suspect
from policies.compare import differences, put, shown
from policies.context import Platform
from policies.documents import compared, in_files
from policies.objects import Container, at, breaks, containers, documents, items
from policies.programs import with_body
from policies.rule import Manifest, Violation
from schemas.reviewed import gateway, grafana
from schemas.settings.correlation import OwnGrafana

_ROLES: Final = "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_PATH"


def judged(platform: Platform) -> Iterator[Suspect]:
    """All that Grafana is provisioned with, and the variables of our own."""
    settings, catalog = platform.settings, platform.catalog
    where = settings.correlation.grafana_namespace
    yield from _hardening(platform, where)
    sources = {"flameplane-datasources.yaml": grafana.datasources_file(settings, catalog)}
    yield from compared(platform, (where, "flameplane-datasources"), sources)
    boards = platform.find("ConfigMap", where, "flameplane-dashboards")
    if boards is None:
        yield Suspect(Violation(f"no ConfigMap flameplane-dashboards in {where}"), None, None)
    else:
        found = documents(boards).get("flameplane.json")
        wanted = grafana.dashboard_file(found if isinstance(found, Mapping) else {})
        yield from in_files(boards, {"flameplane.json": wanted})
    if isinstance(settings.correlation.grafana, OwnGrafana):
        yield from compared(platform, grafana.PROVIDERS, {"flameplane.yaml": grafana.providers_file()})
        if server := platform.find("Deployment", *grafana.SERVER):
            yield from _environment(platform, server, settings.correlation.grafana)


def _hardening(platform: Platform, where: str) -> Iterator[Suspect]:
    manifest = platform.find("ConfigMap", where, grafana.HARDENING_MAP)
    if manifest is None:
        yield Suspect(Violation(f"no ConfigMap {grafana.HARDENING_MAP} in {where}"), None, None)
        return
    found = {str(key): value for field in ("data", "binaryData") for key, value in (manifest.get(field) or {}).items()}
    for one in differences(found, grafana.HARDENING):
        mended = {**manifest, "data": one.mended, "binaryData": {}}
        yield Suspect(breaks(manifest, str(one)), manifest, mended)


def _environment(platform: Platform, server: Manifest, own: OwnGrafana) -> Iterator[Suspect]:
    wanted = grafana.environment(platform.settings, platform.catalog, own)
    for container in containers(server):
        found: dict[str, Any] = {}
        variables = list(items(container.body.get("env")))
        for variable in variables:
            name, rest = str(variable.get("name")), [v for v in variables if v is not variable]
            if name in found:
                yield _without(container, f"sets {name} twice", "env", rest)
            if more := sorted(set(variable) - {"name", "value"}):
                how = f"takes {name} from elsewhere ({more[0]}); Grafana's secrets are files"
                yield _without(container, how, "env", rest)
            found[name] = variable.get("value")
        if found.get(_ROLES) in _roles(platform):
            wanted = {**wanted, _ROLES: found.get(_ROLES)}
        for one in differences(found, wanted):
            yield _without(container, str(one), "env", [{"name": n, "value": v} for n, v in one.mended.items()])
        for source in items(container.body.get("envFrom")):
            how = f"takes settings from elsewhere (envFrom {shown(str(source))})"
            yield _without(container, how, "envFrom", [])


def _without(container: Container, how: str, field: str, value: Any) -> Suspect:
    """A violation about one field of a container, and that field as it should be."""
    mended = with_body(container, put(container.body, (field,), value))
    return Suspect(container.breaks(how), container.manifest, mended)


def _roles(platform: Platform) -> list[str]:
    """Who may sign in, as the gateway has it: where that differs from services/, rule FP053 or FP011 says so."""
    config = platform.find("ConfigMap", *gateway.GATEWAY)
    document = documents(config).get("gateway.yaml") if config else None
    groups = at(document, "people", "platformGroups")
    readers = [str(g) for tenant in items(at(document, "tenants")) for g in items(at(tenant, "readers"))]
    return [grafana.roles(platform.settings.access.groups_claim, [str(g) for g in items(groups)], readers)]
