"""Configuration files: what decides who reads what, computed a second time from settings and catalog."""

from collections.abc import Iterator
from typing import Any

from guards.stack import Guard, Stack
from policies.objects import at, containers, documents, items, label, name, pod
from policies.pyroscope import config_files
from policies.rule import Manifest
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, BACKEND_NAMESPACE, SYSTEM_NAMESPACE

# What each of our own programs may do at the gateway, by service account.
PROGRAMS = [
    {"account": f"{AGENT_NAMESPACE}/flameplane-node", "write": "team"},
    {"account": f"{SYSTEM_NAMESPACE}/flameplane-downsample", "read": "tenants", "write": "longterm"},
    {"account": f"{SYSTEM_NAMESPACE}/flameplane-drift", "read": "tenants"},
    {"account": f"{SYSTEM_NAMESPACE}/flameplane-cost-report", "read": "totals"},
    {"account": f"{ACCESS_NAMESPACE}/ci-gate", "read": "ci-gate"},
]


def document(stack: Stack, where: str, called: str, key: str) -> Any:
    """A parsed file of a ConfigMap; None where either is missing."""
    return next((documents(m).get(key) for m in stack.named("ConfigMap", where, called)), None)


def pyroscope_keeps_to_itself(stack: Stack) -> Iterator[str]:
    """Nothing is reported to the vendor, no build id is looked up outside, blocks go to our bucket over TLS."""
    storage = stack.settings.backend.object_storage
    expected: dict[tuple[str, ...], Any] = {
        ("analytics", "reporting_enabled"): False,
        ("limits", "symbolizer", "enabled"): False,
        ("self_profiling", "disable_push"): True,
        ("storage", "backend"): "s3",
        ("storage", "s3", "endpoint"): storage.endpoint,
        ("storage", "s3", "bucket_name"): storage.bucket,
        ("storage", "s3", "insecure"): True if storage.kind == "seaweedfs" else None,
    }
    configs = list(config_files(stack.of("ConfigMap")))
    if not configs and stack.settings.backend.architecture != "devstore":
        yield "there is no configuration of Pyroscope"
    for config in configs:
        for path, value in expected.items():
            if at(config.body, *path) != value:
                yield f"{label(config.manifest)}: {'.'.join(path)} is {at(config.body, *path)}, not {value}"


def retention_is_left_to_no_default(stack: Stack) -> Iterator[str]:
    """Rule FP004 judges what holds in effect; here each tenant says so itself, whatever a default becomes."""
    for config in config_files(stack.of("ConfigMap")):
        if at(config.body, "limits", "retention_period") != "30d":
            yield f"{label(config.manifest)}: limits.retention_period {at(config.body, 'limits', 'retention_period')}"
    tenants = (document(stack, BACKEND_NAMESPACE, "pyroscope-overrides", "overrides.yaml") or {}).get("overrides") or {}
    for tenant, limits in tenants.items():
        if not limits.get("retention_period"):
            yield f"tenant {tenant} has no retention of its own"


def alerts_and_dashboards_are_there(stack: Stack) -> Iterator[str]:
    settings = stack.settings
    as_rules = settings.alerts.rules == "prometheusrule"
    for kind, called in [("PrometheusRule", "flameplane-rules"), ("PodMonitor", "flameplane")] if as_rules else []:
        if not stack.has(kind, SYSTEM_NAMESPACE, called):
            yield f"{kind} {called} is not declared"
    if not as_rules and not stack.has("ConfigMap", SYSTEM_NAMESPACE, "flameplane-rules"):
        yield "ConfigMap flameplane-rules is not declared"
    if not stack.has("ConfigMap", settings.correlation.grafana_namespace, "flameplane-dashboards"):
        yield "ConfigMap flameplane-dashboards is not declared"


def pyroscope_reads_its_files(stack: Stack) -> Iterator[str]:
    """A process without its configuration has one tenant for everybody: both files are where it looks for them."""
    for config in config_files(stack.of("ConfigMap")):
        users = [m for m in stack.of("StatefulSet", "Deployment") if _mounted(m, name(config.manifest))]
        if not users:
            yield f"{label(config.manifest)} is mounted by nobody"
        for manifest in users:
            folder = _mounted(manifest, name(config.manifest))
            (process,) = (c for c in containers(manifest) if c.name == "pyroscope")
            if f"-config.file={folder}/{config.key}" not in items(process.body.get("args")):
                yield f"{label(manifest)} is started with {list(items(process.body.get('args')))}"
            overrides = _mounted(manifest, "pyroscope-overrides")
            if at(config.body, "runtime_config", "file") != f"{overrides}/overrides.yaml":
                yield f"{label(manifest)} reads its overrides from {at(config.body, 'runtime_config', 'file')}"


def _mounted(manifest: Manifest, config_map: str) -> str | None:
    """Where a workload mounts a ConfigMap."""
    volumes = {v["name"] for v in items(pod(manifest).get("volumes")) if at(v, "configMap", "name") == config_map}
    mounts = [m for c in containers(manifest) for m in items(c.body.get("volumeMounts")) if m["name"] in volumes]
    return str(mounts[0]["mountPath"]) if mounts else None


def catalog_is_what_was_declared(stack: Stack) -> Iterator[str]:
    """The effective documents, which jobs and rules go by, are those of services/."""
    catalog = stack.catalog
    expected = {"catalog-organisation": {"organisation.yaml": catalog.organisation}}
    for team in catalog.teams:
        services = {f"{service.name}.yaml": service for service in catalog.of_team(team.name)}
        expected[f"catalog-{team.name}"] = {"team.yaml": team, **services}  # type: ignore[dict-item]
    for config_map, files in expected.items():
        for key, model in files.items():
            found = document(stack, SYSTEM_NAMESPACE, config_map, key)
            if found != model.model_dump(by_alias=True, mode="json", exclude_none=True):
                yield f"ConfigMap {config_map}: {key} is not what was declared"


def agents_are_told_what_was_declared(stack: Stack) -> Iterator[str]:
    told = document(stack, AGENT_NAMESPACE, "node-services", "services.json") or {}
    if sorted(items(told.get("excludedNamespaces"))) != sorted(stack.catalog.organisation.spec.excluded_namespaces):
        yield f"namespaces that are never sampled: {told.get('excludedNamespaces')}"
    if told.get("optOutAnnotation") != "flameplane.dev/profile":
        yield f"pods opt out by {told.get('optOutAnnotation')}"
    entries = {entry["service"]: entry for entry in items(told.get("services"))}
    for service in stack.catalog.services:
        entry, workload = entries.get(service.name, {}), service.spec.workload
        found = (entry.get("team"), entry.get("namespace"), entry.get("selector"), entry.get("sampleRateHz"))
        if found != (service.team, workload.namespace, workload.selector, service.spec.profiling.sample_rate_hz):
            yield f"{service.name}: the agents are told {found}"


def _backend(stack: Stack) -> dict[str, Any]:
    """Where the gateway finds the backend, and in any cloud with which certificate."""
    backend = stack.settings.backend
    apart = backend.architecture == "microservices"
    roles = {"write": "distributor", "read": "query-frontend", "settings": "tenant-settings"}
    whole = "devstore" if backend.architecture == "devstore" else "pyroscope"
    names = {call: f"pyroscope-{role}" if apart else whole for call, role in roles.items()}
    scheme = "https" if backend.tls else "http"
    found: dict[str, Any] = {call: f"{scheme}://{name}.{BACKEND_NAMESPACE}.svc:4040" for call, name in names.items()}
    if backend.tls:
        files = {"certificate": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
        found["tls"] = {what: f"/etc/flameplane/backend-tls/{file}" for what, file in files.items()}
    return found


def _audit(stack: Stack) -> dict[str, str] | None:
    """The bucket that nobody can delete from."""
    cloud, storage = stack.settings.cloud, stack.settings.backend.object_storage
    if cloud is None:
        return None
    organisation = stack.catalog.organisation.metadata.name
    bucket = cloud.buckets.audit or f"{organisation}-flameplane-audit-{stack.settings.environment}"
    return {"bucket": bucket, "prefix": "gateway/", "region": cloud.region, "endpoint": storage.endpoint}


def gateway_trusts_who_is_listed(stack: Stack) -> Iterator[str]:
    if not stack.has("Deployment", ACCESS_NAMESPACE, "gateway"):
        return
    access, catalog = stack.settings.access, stack.catalog
    people = {"issuer": access.issuer, "audience": access.audience, "groupsClaim": access.groups_claim}
    found = document(stack, ACCESS_NAMESPACE, "gateway", "gateway.yaml") or {}
    expected = {
        "backend": _backend(stack),
        "audit": _audit(stack),
        "people": {**people, "platformGroups": list(catalog.organisation.spec.platform_groups)},
        "tenants": [
            {"tenant": team.name, "longterm": f"{team.name}-longterm", "readers": list(team.spec.groups)}
            for team in catalog.teams
        ],
        "programs": {"audience": "flameplane-gateway", "accounts": PROGRAMS},
        "limits": {
            "bodyMegabytes": 16,
            "answerMegabytes": 12,
            "requestsPerSecond": 50,
            "pushesPerSecond": 200,
            "concurrentQueries": 8,
            "windowDays": 90,
            "maxNodes": 16384,
        },
        # The first: whether the browser offers to post profiles to a public site.
        "pluginSettings": {"enableFlameGraphDotComExport": False, "collapsedFlamegraphs": False, "maxNodes": 16384},
    }
    for key, value in expected.items():
        if found.get(key) != value:
            yield f"gateway.yaml: {key} is {found.get(key)}"


def ci_reads_its_own_service(stack: Stack) -> Iterator[str]:
    regression = stack.settings.regression
    trust = document(stack, ACCESS_NAMESPACE, "ci-gate", "trust.yaml")
    if trust != {"issuers": list(regression.trusted_issuers), "audience": regression.ci_audience}:
        yield f"trust.yaml is {trust}"
    services = {s.name: s for s in stack.catalog.services if s.spec.gate.mode != "off"}
    entries = items((document(stack, ACCESS_NAMESPACE, "ci-gate", "services.yaml") or {}).get("services"))
    if sorted(entry["service"] for entry in entries) != sorted(services):
        yield f"services.yaml lists {sorted(entry['service'] for entry in entries)}"
    for entry in entries:
        if not (service := services.get(entry["service"])):
            continue
        window = 2 * service.spec.gate.window_minutes + 10
        reads = {"tenant": service.team, "types": ["cpu"], "windowMinutes": window}
        if entry.get("reads") != reads or entry.get("repository") != service.metadata.repository:
            yield f"services.yaml: {service.name} of {entry.get('repository')} reads {entry.get('reads')}"
        if at(entry, "gate", "mode") != service.spec.gate.mode:
            yield f"services.yaml: the gate of {service.name} is {at(entry, 'gate', 'mode')}"


GUARDS = (
    Guard(pyroscope_keeps_to_itself, ("ConfigMap",)),
    Guard(retention_is_left_to_no_default, ("ConfigMap",)),
    Guard(alerts_and_dashboards_are_there, ("ConfigMap", "PrometheusRule", "PodMonitor")),
    Guard(pyroscope_reads_its_files, ("ConfigMap", "StatefulSet", "Deployment")),
    Guard(catalog_is_what_was_declared, ("ConfigMap",)),
    Guard(agents_are_told_what_was_declared, ("ConfigMap",)),
    Guard(gateway_trusts_who_is_listed, ("ConfigMap",)),
    Guard(ci_reads_its_own_service, ("ConfigMap",)),
)
