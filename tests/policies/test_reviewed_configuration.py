"""The reviewed configurations against what the components write, for every option of the settings that changes either.

Two statements of the same files, written apart: here they have to agree, so that no option of the settings is refused
by the pack (FP035, FP053 to FP055). It cannot prove that either is right; the upstream tier runs the real programs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from corpus import ROOT

from components import egress_config, gateway_config, grafana_settings, grafana_sources, language_agents
from components.backend_urls import backend_urls
from components.dashboard import dashboard
from components.grafana_pod import provider
from components.pyroscope_config import microservices_config, process_config
from components.pyroscope_limits import overrides
from components.rules import groups
from flameplane.catalog import load
from policies.compare import differences, lines
from policies.context import environment
from policies.resources import SETTINGS
from schemas.catalog import Catalog
from schemas.reviewed import configuration, configuration_alerts, configuration_programs, gateway, grafana
from schemas.service import Service
from schemas.settings import Settings
from schemas.settings.correlation import OwnGrafana

Change = Callable[[dict[str, Any]], None]


def put(path: str, value: Any) -> Change:
    """A change that sets one value of the settings; None leaves it out."""
    *steps, last = path.split(".")

    def change(spec: dict[str, Any]) -> None:
        for step in steps:
            spec = spec[step]
        if value is None:
            spec.pop(last, None)
        else:
            spec[last] = value

    return change


KEY = "arn:aws:kms:eu-central-1:111122223333:alias/mine"
VARIANTS: dict[str, tuple[str, list[Change]]] = {
    **{stack: (stack, []) for stack in ("local", "dev", "staging", "prod")},
    "a key of its own": (
        "dev",
        [
            put("cloud", None),
            put("backend.objectStorage.kmsKey", KEY),
            put("backend.objectStorage.endpoint", "s3.example.org"),
            put("backend.objectStorage.credentialsSecret", "keys"),
        ],
    ),
    "existing secrets": ("prod", [put("backend.tls", {"secrets": {"server": "one", "client": "two"}})]),
    "other writes": ("prod", [put("backend.writes", {"segmentDuration": "4s", "tokens": 2, "writers": 5})]),
    "many pods": ("prod", [put("backend.podsPerService", 1000)]),
    "tls in one process": ("local", [put("backend.tls", {"issuer": "ca"})]),
    "named buckets": ("prod", [put("cloud.buckets", {"audit": "acme-other-audit-prod"})]),
    "another claim": (
        "prod",
        [put("access.groupsClaim", "roles"), put("access.issuer", "https://id.example.com/realms/other")],
    ),
    "existing grafana": ("prod", [put("correlation.grafana", {"mode": "existing", "namespace": "monitoring"})]),
    "grafana on a volume": (
        "prod",
        [
            put("correlation.grafana.database", None),
            put("correlation.grafana.replicas", 1),
            put("correlation.grafana.storage", "5Gi"),
        ],
    ),
    "public hosts": ("prod", [put("regression.egress", None), put("regression.egressHosts", ["chat.example.org"])]),
    "pages in the project": ("prod", [put("alerts.runbookUrl", None), put("alerts.rules", "configmap")]),
    "other issuers": ("prod", [put("regression.trustedIssuers", ["https://ci.example.org"])]),
}


@pytest.fixture(params=VARIANTS, ids=str)
def settings(request: pytest.FixtureRequest) -> Settings:
    stack, changes = VARIANTS[request.param]
    config = yaml.safe_load((ROOT / f"stacks/Pulumi.{stack}.yaml").read_text())["config"]
    spec = {key.partition(":")[2]: value for key, value in config.items() if key.startswith("flameplane:")}
    for change in changes:
        change(spec)
    found = environment([{"kind": SETTINGS, "spec": {**spec, "another": "program's"}}])
    assert found, Settings.model_validate(spec)
    return found


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    loaded = load(ROOT).catalog
    assert loaded
    return loaded


def agree(written: str | Mapping[str, Any], reviewed: Mapping[str, Any]) -> None:
    found = yaml.safe_load(written) if isinstance(written, str) else written
    assert list(differences(found, reviewed)) == []


def test_gateway(settings: Settings, catalog: Catalog) -> None:
    written = gateway_config.gateway_config(settings, catalog, backend_urls(settings.backend))
    agree(written, gateway.gateway_file(settings, catalog))
    gate = gateway_config.ci_gate_config(settings, catalog)
    agree(gate["trust.yaml"], gateway.trust_file(settings))
    agree(gate["services.yaml"], gateway.gated_file(catalog))


def test_backend(settings: Settings, catalog: Catalog) -> None:
    split = settings.backend.architecture == "microservices"
    written = (microservices_config if split else process_config)(settings.backend)
    agree(written, configuration.config_file(settings, 3))
    agree(overrides(catalog, settings.backend), configuration.overrides_file(settings, catalog))


def test_grafana(settings: Settings, catalog: Catalog) -> None:
    written = grafana_sources.datasources(settings.correlation, catalog, grafana.GATEWAY)
    agree(written, grafana.datasources_file(settings, catalog))
    board = dashboard(grafana_sources.PROMETHEUS)
    agree(board, grafana.dashboard_file(board))
    agree(provider(), grafana.providers_file())
    if isinstance(own := settings.correlation.grafana, OwnGrafana):
        variables = grafana_settings.own_settings(settings, catalog, own, grafana.GATEWAY)
        agree({**grafana_settings.HARDENING, **variables}, grafana.environment(settings, catalog, own))


def test_programs(settings: Settings, catalog: Catalog) -> None:
    written = [line for line in egress_config.egress_config(settings.regression).splitlines() if line[:1] not in "#"]
    assert list(lines(written, configuration_programs.squid(settings).splitlines(), "squid.conf")) == []
    pages = settings.alerts.runbook_url or "docs/runbooks"
    named, twice = configuration_alerts.by_name(groups(catalog, pages))
    assert not twice
    agree(named, configuration_alerts.groups(settings, catalog))


TYPES = {"java": ("cpu", "alloc", "mutex", "wall"), "node": ("cpu", "alloc", "wall"), "python": ("cpu", "wall")}


@pytest.mark.parametrize("source", ["agent", "ebpf"])
@pytest.mark.parametrize(
    ("language", "left_out"), [(name, types[:n]) for name, types in TYPES.items() for n in (0, 1, 2)]
)
def test_agents_in_processes(language: str, left_out: tuple[str, ...], source: str, catalog: Catalog) -> None:
    types = [t for t in TYPES[language] if t not in left_out] or ["offcpu"]
    changed = catalog.services[0].model_dump(by_alias=True, mode="json", exclude_none=True)
    changed["spec"] |= {"language": {"name": language}}
    changed["spec"]["profiling"] |= {"types": types, "cpuSource": source, "sampleRateHz": 53}
    service = Service.model_validate(changed)
    if not service.injected:
        pytest.skip("nothing is injected")
    written = "\n".join(f"{k}={v}" for k, v in language_agents._environment(service, configuration_programs.RECEIVER))
    assert written == configuration_programs.injected(service)
