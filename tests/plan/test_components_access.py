"""Grafana, the way out, and who reaches whom: what is declared for each environment. Recorded, so nothing runs here."""

import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from environments import ENVIRONMENTS, Environment
from variants import Objects, Project, named, touched

from components.grafana_settings import roles
from schemas.allowed import METADATA_ADDRESSES, NAMESPACES, POD_IDENTITY_ADDRESS

SOURCES = "flameplane-datasources"


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest, environment_of: Callable[[str], Environment]) -> Environment:
    return environment_of(request.param)


@pytest.fixture
def prod(environment_of: Callable[[str], Environment]) -> Environment:
    return environment_of("prod")


def objects(environment: Environment) -> Objects:
    return named(list(environment.manifests))


def sources(environment: Environment) -> list[dict[str, Any]]:
    namespace = environment.settings.correlation.grafana_namespace
    data = objects(environment)[f"ConfigMap {namespace}/{SOURCES}"]["data"]
    return list(yaml.safe_load(data["flameplane-datasources.yaml"])["datasources"])


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    return dict(found)


# -- Grafana -----------------------------------------------------------------------------------------------------------


def test_an_own_grafana_only_where_the_settings_say_so(environment: Environment) -> None:
    own = environment.settings.correlation.grafana.mode == "own"
    found = {key for key in objects(environment) if key.endswith("/grafana")}
    assert bool(found) == own
    if own:
        kinds = {key.split()[0] for key in found}
        assert kinds >= {"Deployment", "Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"}


def test_state_is_a_volume_or_a_database(environment_of: Callable[[str], Environment]) -> None:
    staging, prod = objects(environment_of("staging")), objects(environment_of("prod"))
    deployment = staging["Deployment flameplane-access/grafana"]["spec"]
    volumes = {v["name"]: v for v in deployment["template"]["spec"]["volumes"]}
    assert volumes["data"] == {"name": "data", "persistentVolumeClaim": {"claimName": "grafana"}}
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert "PersistentVolumeClaim flameplane-access/grafana" in staging
    deployment = prod["Deployment flameplane-access/grafana"]["spec"]
    assert deployment["replicas"] == 2
    assert "PersistentVolumeClaim flameplane-access/grafana" not in prod
    env = {e["name"]: e["value"] for e in container(prod["Deployment flameplane-access/grafana"])["env"]}
    assert env["GF_DATABASE_SSL_MODE"] == "verify-full"


def test_secrets_are_files_and_only_the_keys_that_are_needed(prod: Environment) -> None:
    grafana = objects(prod)["Deployment flameplane-access/grafana"]
    assert all("valueFrom" not in e for e in container(grafana)["env"])
    (secret,) = [v["secret"] for v in grafana["spec"]["template"]["spec"]["volumes"] if "secret" in v]
    assert secret["secretName"] == "grafana"
    assert [i["key"] for i in secret["items"]] == ["client-secret", "secret-key", "database-password", "database-ca"]
    mounted = next(m["mountPath"] for m in container(grafana)["volumeMounts"] if m["name"] == "secret")
    read = [e["value"] for e in container(grafana)["env"] if e["value"].startswith("$__file{")]
    assert sorted(read) == sorted(
        f"$__file{{{mounted}/{key}}}" for key in ("client-secret", "secret-key", "database-password")
    )


def test_roles_follow_the_groups_of_the_catalog(prod: Environment) -> None:
    """By the text of the JMESPath; Grafana itself evaluates it."""
    path = roles("groups", prod.catalog)
    platform = prod.catalog.organisation.spec.platform_groups
    readers = {group for team in prod.catalog.teams for group in team.spec.groups}
    admin, _, editor = path.partition(" && 'Admin' || ")
    assert all(f"'{group}'" in admin for group in platform)
    assert all(f"'{group}'" in editor for group in readers)
    assert editor.endswith("&& 'Editor'")


def test_the_browser_talks_to_grafana_alone(environment: Environment) -> None:
    namespace = environment.settings.correlation.grafana_namespace
    policy = objects(environment)[f"ConfigMap {namespace}/grafana-hardening"]["data"][
        "GF_SECURITY_CONTENT_SECURITY_POLICY_TEMPLATE"
    ]
    (connect,) = [d for d in policy.split(";") if d.startswith("connect-src")]
    assert connect.split() == ["connect-src", "'self'", "ws://$ROOT_PATH", "wss://$ROOT_PATH"]


def test_spans_lead_to_their_profile_only_where_one_can_be(environment: Environment) -> None:
    """CPU by eBPF and Node.js carry no span ids: there the link by service and time is all."""
    for team in environment.catalog.teams:
        services = environment.catalog.of_team(team.name)
        bridged = [
            s for s in services if s.spec.profiling.cpu_source == "agent" and s.spec.language.name in ("java", "python")
        ]
        (tempo,) = [s for s in sources(environment) if s["name"] == f"{team.name}: traces"]
        assert ("tracesToProfiles" in tempo["jsonData"]) == bool(bridged), team.name
        (link,) = tempo["correlations"]
        profiles = {s["uid"] for s in sources(environment) if s["name"] == f"{team.name}: profiles"}
        assert {link["targetUID"]} == profiles
        assert link["config"]["target"]["labelSelector"] == '{service_name="$${serviceName}"}'


def test_a_team_without_a_bridged_service_has_no_such_link(root: Path, tmp_path: Path) -> None:
    project = Project(root, tmp_path, locked=False)
    before = project.objects()
    project.edit(project.service("catalog", "search"), lambda d: d["spec"]["profiling"].update(cpuSource="ebpf"))
    after = project.objects()
    key = f"ConfigMap flameplane-access/{SOURCES}"
    texts = [o[key]["data"]["flameplane-datasources.yaml"] for o in (before, after)]
    assert texts[0].count("tracesToProfiles") == texts[1].count("tracesToProfiles") + 1
    assert key in touched(before, after)


def test_grafana_starts_anew_when_a_team_comes(root: Path, tmp_path: Path) -> None:
    """It reads data sources at its start only."""
    project = Project(root, tmp_path, locked=False)
    before = project.objects()
    folder = tmp_path / "services" / "newteam"
    folder.mkdir()
    text = (root / "services/catalog/_team.yaml").read_text().replace("name: catalog", "name: newteam")
    (folder / "_team.yaml").write_text(text)
    assert "Deployment flameplane-access/grafana" in touched(before, project.objects())


# -- the way out -------------------------------------------------------------------------------------------------------


def test_the_proxy_is_there_where_hosts_are_listed(environment: Environment) -> None:
    found = objects(environment)
    listed = environment.settings.regression.egress_hosts
    assert ("Deployment flameplane-system/egress-proxy" in found) == bool(listed)
    job = found["CronJob flameplane-system/flameplane-drift"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    env = {e["name"]: e.get("value") for e in job["containers"][0]["env"]}
    assert ("HTTPS_PROXY" in env) == bool(listed)
    if listed:
        assert env["HTTPS_PROXY"] == "http://egress-proxy.flameplane-system.svc:3128"
        config = found["ConfigMap flameplane-system/egress-proxy"]["data"]["squid.conf"]
        assert f"acl listed dstdomain -n {' '.join(listed)}\n" in config
        assert config.index("deny !listed") < config.index("allow listed") < config.index("deny all")


def test_only_the_proxy_reaches_the_internet(environment: Environment) -> None:
    wide = {
        (policy, peer["ipBlock"]["cidr"], port["protocol"], port["port"])
        for policy, rule in egress(environment)
        for peer in rule["to"]
        for port in rule["ports"]
        if "ipBlock" in peer and ipaddress.ip_network(peer["ipBlock"]["cidr"]).prefixlen < 8
    }
    listed = environment.settings.regression.egress_hosts
    expected = {("flameplane-system/egress-proxy", "0.0.0.0/0", "TCP", 443)}
    assert wide == (expected if listed else set())


# -- the network -------------------------------------------------------------------------------------------------------


def egress(environment: Environment) -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in environment.manifests:
        if manifest["kind"] == "NetworkPolicy":
            metadata = manifest["metadata"]
            for rule in manifest["spec"].get("egress", []):
                yield f"{metadata['namespace']}/{metadata['name']}", rule


def reaches(rule: dict[str, Any], address: str) -> bool:
    where = ipaddress.ip_address(address)

    def has(cidr: str) -> bool:
        return where in ipaddress.ip_network(cidr)

    blocks = [peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer]
    return any(has(b["cidr"]) and not any(has(c) for c in b.get("except", [])) for b in blocks)


def test_nobody_reaches_the_nodes_credentials(environment: Environment) -> None:
    for address in METADATA_ADDRESSES:
        assert [policy for policy, rule in egress(environment) if reaches(rule, address)] == []


def test_pod_identity_is_for_pods_with_a_role(environment: Environment) -> None:
    """And for those alone: whoever reaches that agent can ask for the role of its own service account only."""
    found = {policy for policy, rule in egress(environment) if reaches(rule, POD_IDENTITY_ADDRESS)}
    if not environment.settings.cloud:
        assert found == set()
        return
    assert "flameplane-access/gateway" in found
    assert all(policy == "flameplane-access/gateway" or policy.startswith("flameplane-backend/") for policy in found)


def test_every_namespace_is_closed_both_ways(environment: Environment) -> None:
    found = objects(environment)
    for namespace in NAMESPACES:
        spec = found[f"NetworkPolicy {namespace}/default-deny"]["spec"]
        assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_pod_has_a_policy_of_its_own(environment: Environment) -> None:
    """Else it could do nothing but ask DNS, and nobody would know why."""
    policies = [m for m in environment.manifests if m["kind"] == "NetworkPolicy"]
    selected = [
        (p["metadata"]["namespace"], p["spec"]["podSelector"]["matchLabels"])
        for p in policies
        if p["spec"]["podSelector"].get("matchLabels")
    ]
    for manifest in environment.manifests:
        if manifest["kind"] not in ("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
            continue
        spec = manifest["spec"].get("jobTemplate", manifest)["spec"]
        labels, namespace = spec["template"]["metadata"]["labels"], manifest["metadata"]["namespace"]
        if namespace in NAMESPACES:
            assert any(n == namespace and s.items() <= labels.items() for n, s in selected), manifest["metadata"][
                "name"
            ]


def test_the_gateway_shows_its_certificate_where_the_settings_say_so(environment: Environment) -> None:
    found = objects(environment)
    gateway = found["Deployment flameplane-access/gateway"]["spec"]["template"]["spec"]
    backend = yaml.safe_load(found["ConfigMap flameplane-access/gateway"]["data"]["gateway.yaml"])["backend"]
    volumes = {v["name"] for v in gateway["volumes"] if "secret" in v}
    if not environment.settings.backend.tls:
        assert "tls" not in backend
        assert volumes == set()
        return
    (mounted,) = [m for m in gateway["containers"][0]["volumeMounts"] if m["name"] in volumes]
    assert mounted["readOnly"] is True
    assert {path.rpartition("/")[0] for path in backend["tls"].values()} == {mounted["mountPath"]}
    assert {backend[call].partition("://")[0] for call in ("write", "read", "settings")} == {"https"}
    (volume,) = [v["secret"] for v in gateway["volumes"] if "secret" in v]
    assert {i["key"] for i in volume["items"]} == {path.rpartition("/")[2] for path in backend["tls"].values()}


def test_dashboards_are_json(environment: Environment) -> None:
    namespace = environment.settings.correlation.grafana_namespace
    boards = objects(environment)[f"ConfigMap {namespace}/flameplane-dashboards"]["data"]
    assert json.loads(boards["flameplane.json"])["uid"] == "flameplane"
