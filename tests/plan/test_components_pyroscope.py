"""Pyroscope as microservices, as prod declares it: who there is, how it survives, who reaches it, how large it is."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from variants import WITH_PYROSCOPE, Objects, Project, named

from components.pyroscope_identities import PROCESS_ACCOUNT, STORAGE_ACCOUNTS
from components.pyroscope_limits import _KEPT
from components.pyroscope_sizing import EXPANSION, MB_PER_POD, ingest_mb, sizes
from flameplane import catalog as catalogs
from flameplane.plan import manifest, record
from schemas.settings.backend import Backend, ObjectStorage, Tls, Volumes, Writes

SPACE = "flameplane-backend"
DOORS = ("distributor", "query-frontend", "tenant-settings")
ROLES = ("compaction-worker", "distributor", "metastore", "query-backend", "query-frontend", "segment-writer")
HA = {"metastore": 3, "segment-writer": 3, "distributor": 2, "query-frontend": 2, "query-backend": 2}
STORAGE = ObjectStorage(kind="s3", endpoint="s3.example.com", region="r-1", bucket="profiles", egress="10.1.0.0/16")


@pytest.fixture(scope="module")
def prod(root: Path) -> Objects:
    return named([m for r in record(root, "prod").resources if (m := manifest(r))])


@pytest.fixture(scope="module")
def dev(root: Path) -> Objects:
    return named([m for r in record(root, "dev").resources if (m := manifest(r))])


def workload(objects: Objects, role: str) -> dict[str, Any]:
    kind = "StatefulSet" if role in ("metastore", "segment-writer") else "Deployment"
    return objects[f"{kind} {SPACE}/pyroscope-{role}"]


def pod(objects: Objects, role: str) -> dict[str, Any]:
    return dict(workload(objects, role)["spec"]["template"]["spec"])


def container(objects: Objects, role: str) -> dict[str, Any]:
    (found,) = pod(objects, role)["containers"]
    return dict(found)


def config(objects: Objects) -> Any:
    return yaml.safe_load(objects[f"ConfigMap {SPACE}/pyroscope-config"]["data"]["config.yaml"])


def backend(**changes: Any) -> Backend:
    base = {"object_storage": STORAGE, "volumes": Volumes(storage_class="gp3", metastore="50Gi")}
    return Backend(architecture="microservices", tls=Tls(issuer="ca"), **(base | changes))


def test_every_role_is_there_once(prod: Objects) -> None:
    found = {k.rpartition("/")[2] for k in prod if re.match(rf"(Deployment|StatefulSet) {SPACE}/", k)}
    assert found == {f"pyroscope-{role}" for role in (*ROLES, "tenant-settings")}


@pytest.mark.parametrize("role", HA)
def test_it_survives_the_loss_of_a_replica(prod: Objects, role: str) -> None:
    assert workload(prod, role)["spec"]["replicas"] >= HA[role]


@pytest.mark.parametrize("role", ROLES)
def test_a_drain_takes_one_replica_at_a_time(prod: Objects, role: str) -> None:
    budget = prod[f"PodDisruptionBudget {SPACE}/pyroscope-{role}"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == workload(prod, role)["spec"]["selector"]
    # One that is catching up counts as unavailable; only the metastore has anything to catch up with.
    assert budget.get("unhealthyPodEvictionPolicy") == (None if role == "metastore" else "AlwaysAllow")


@pytest.mark.parametrize("role", ROLES)
def test_replicas_are_spread_over_zones_and_nodes(prod: Objects, role: str) -> None:
    constraints = {c["topologyKey"]: c for c in pod(prod, role)["topologySpreadConstraints"]}
    assert set(constraints) == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    for constraint in constraints.values():
        assert constraint["labelSelector"] == workload(prod, role)["spec"]["selector"]
        assert constraint["whenUnsatisfiable"] == ("DoNotSchedule" if role == "metastore" else "ScheduleAnyway")


def test_metastores_never_share_a_node(prod: Objects) -> None:
    (term,) = pod(prod, "metastore")["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": "pyroscope-metastore"}


def test_metastores_meet_before_they_are_ready_and_keep_their_disks(prod: Objects) -> None:
    spec = workload(prod, "metastore")["spec"]
    assert spec["podManagementPolicy"] == "Parallel", (
        "one after the other, the first would wait for a majority for ever"
    )
    service = prod[f"Service {SPACE}/{spec['serviceName']}"]["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "gp3"
    data = [
        m["mountPath"] for m in container(prod, "metastore")["volumeMounts"] if m["name"] == claim["metadata"]["name"]
    ]
    raft = config(prod)["metastore"]
    assert all(folder.startswith(f"{data[0]}/") for folder in (raft["data_dir"], raft["raft"]["dir"]))


def test_every_metastore_finds_itself_among_the_peers(prod: Objects) -> None:
    """A node whose id is not in the list never bootstraps; one that is there under two ids breaks the majority."""
    raft, spec = config(prod)["metastore"]["raft"], workload(prod, "metastore")["spec"]
    assert len(raft["bootstrap_peers"]) == raft["bootstrap_expect_peers"] == spec["replicas"] == 3
    for number in range(3):
        own = raft["server_id"].replace("${POD_NAME}", f"pyroscope-metastore-{number}")
        assert own == raft["advertise_address"].replace("${POD_NAME}", f"pyroscope-metastore-{number}")
        assert f"{own}/{own}" in raft["bootstrap_peers"]
        assert own.startswith(f"pyroscope-metastore-{number}.{spec['serviceName']}.{SPACE}.svc:")
    grpc = [address.rpartition(":")[0] for address in config(prod)["metastore"]["address"].split(",")]
    assert grpc == [peer.partition(":")[0] for peer in raft["bootstrap_peers"]], "clients know the leader by that name"


@pytest.mark.parametrize("role", (*ROLES, "tenant-settings"))
def test_probes_go_to_the_admin_port(prod: Objects, role: str) -> None:
    """`admin_server.mode: exclusive` takes /ready off the port that the chart's probes ask."""
    found = container(prod, role)
    ports = {p["name"]: p["containerPort"] for p in found["ports"]}
    assert ports["metrics"] == config(prod)["admin_server"]["http_listen_port"] == 4042
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert found[probe]["httpGet"]["port"] == "metrics", probe
    assert found["readinessProbe"]["httpGet"]["path"] == "/ready"
    # An outage of the ring or of object storage must not restart what only waits for it.
    alive = found["livenessProbe"]["httpGet"]["path"]
    assert alive == ("/ready" if role == "metastore" else "/api/v1/status/buildinfo")


def test_a_writer_has_time_to_write_what_it_holds(prod: Objects) -> None:
    assert pod(prod, "segment-writer")["terminationGracePeriodSeconds"] == 600


@pytest.mark.parametrize("role", (*ROLES, "tenant-settings"))
def test_no_part_holds_a_token_of_the_kubernetes_api(prod: Objects, role: str) -> None:
    """Members find each other by DNS: `kubernetes:///` of the chart would need endpoints for every pod."""
    assert pod(prod, role)["automountServiceAccountToken"] is False
    assert not [v for v in pod(prod, role)["volumes"] if "projected" in v]
    assert not [k for k in prod if re.match(rf"Role(Binding)? {SPACE}/", k)]
    assert "kubernetes://" not in yaml.safe_dump(config(prod))


@pytest.mark.parametrize("role", (*ROLES, "tenant-settings"))
def test_only_the_gateway_calls_and_only_the_doors(prod: Objects, role: str) -> None:
    rules = prod[f"NetworkPolicy {SPACE}/pyroscope-{role}"]["spec"]["ingress"]
    http = [rule for rule in rules if {"protocol": "TCP", "port": 4040} in rule["ports"]]
    callers = [p["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for rule in http for p in rule["from"]]
    assert callers == (["gateway"] if role in DOORS else [])
    closed = "-server.http-listen-address=127.0.0.1" in container(prod, role)["args"]
    assert closed == (role not in DOORS)
    outside = {p["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for r in rules for p in r["from"]}
    assert outside <= {SPACE, "flameplane-access", "monitoring"}


def test_raft_is_for_metastores_alone(prod: Objects) -> None:
    open_to = {
        (key, peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"])
        for key, policy in prod.items()
        if key.startswith("NetworkPolicy")
        for rule in policy["spec"].get("ingress") or ()
        for peer in rule.get("from") or ()
        if any(port.get("port") == 9099 for port in rule.get("ports") or ())
    }
    assert open_to == {(f"NetworkPolicy {SPACE}/pyroscope-metastore", "pyroscope-metastore")}


def test_both_ends_of_every_call_show_a_certificate(prod: Objects) -> None:
    server = config(prod)["server"]
    for kind in ("http_tls_config", "grpc_tls_config"):
        assert server[kind]["client_auth_type"] == "RequireAndVerifyClientCert"
        assert server[kind]["client_ca_file"] == "/etc/pyroscope/tls/ca.crt"
    for client in ("metastore", "segment_writer", "query_backend"):
        grpc = config(prod)[client]["grpc_client_config"]
        assert grpc["tls_enabled"] is True
        assert grpc["tls_server_name"] in prod[f"Certificate {SPACE}/pyroscope-tls"]["spec"]["dnsNames"]
    for role in (*ROLES, "tenant-settings"):
        (volume,) = [v for v in pod(prod, role)["volumes"] if "secret" in v]
        assert volume["secret"]["secretName"] == prod[f"Certificate {SPACE}/pyroscope-tls"]["spec"]["secretName"]


def test_the_gateways_certificate_is_good_for_calling_only(prod: Objects) -> None:
    usages = prod["Certificate flameplane-access/gateway-backend-tls"]["spec"]["usages"]
    assert "client auth" in usages
    assert "server auth" not in usages


def test_one_process_keeps_gossip_raft_and_grpc_on_loopback(dev: Objects, root: Path, tmp_path: Path) -> None:
    local = Project(root, tmp_path, locked=False).set(*WITH_PYROSCOPE).objects("local")
    for objects in (dev, local):
        process = config(objects)
        assert process["server"]["grpc_listen_address"] == "127.0.0.1"
        assert process["memberlist"]["bind_addr"] == ["127.0.0.1"]
        assert "bind_address" not in process["metastore"]["raft"], "its default is localhost"
    assert "http_tls_config" in config(dev)["server"]
    assert "http_tls_config" not in config(local)["server"]


def test_existing_secrets_take_the_place_of_certificates(root: Path, tmp_path: Path) -> None:
    project = Project(root, tmp_path, locked=False)
    stacks = project.folder / "stacks"
    stacks.unlink()
    stacks.mkdir()
    settings = yaml.safe_load((root / "stacks/Pulumi.prod.yaml").read_text())
    names = {"server": "made-elsewhere", "client": "made-elsewhere-too"}
    settings["config"]["flameplane:backend"]["tls"] = {"secrets": names}
    (stacks / "Pulumi.prod.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    objects = project.objects("prod")
    assert not [key for key in objects if key.startswith("Certificate")]
    (volume,) = [v for v in pod(objects, "distributor")["volumes"] if "secret" in v]
    assert volume["secret"]["secretName"] == "made-elsewhere"


def test_limits_of_memory_reach_the_garbage_collector(prod: Objects) -> None:
    for role in (*ROLES, "tenant-settings"):
        found = container(prod, role)
        (limit,) = [e["value"] for e in found["env"] if e["name"] == "GOMEMLIMIT"]
        memory = found["resources"]["limits"]["memory"]
        mebibytes = int(memory[:-2]) * {"Mi": 1, "Gi": 1024}[memory[-2:]]
        assert int(limit.removesuffix("MiB")) == mebibytes * 9 // 10


def test_every_role_that_opens_the_bucket_is_an_identity(prod: Objects) -> None:
    accounts = {k.rpartition("/")[2] for k in prod if k.startswith(f"ServiceAccount {SPACE}/")}
    assert accounts == set(STORAGE_ACCOUNTS)
    for role in (*ROLES, "tenant-settings"):
        assert pod(prod, role)["serviceAccountName"] == f"pyroscope-{role}"


def test_only_compaction_deletes_profiles() -> None:
    deleters = {name for name, access in STORAGE_ACCOUNTS.items() if {"blocks/*", "segments/*"} & set(access.deletes)}
    assert deleters == {"pyroscope-compaction-worker"}
    (process,) = PROCESS_ACCOUNT.values()
    for access in STORAGE_ACCOUNTS.values():
        for kind in ("reads", "writes", "deletes", "lists"):
            assert set(getattr(access, kind)) <= set(getattr(process, kind)), "one process does what all roles do"


def test_two_hundred_services_get_a_larger_backend(root: Path, tmp_path: Path) -> None:
    project = Project(root, tmp_path, locked=False)
    small = sizes(_catalog(root), backend())
    for number in range(188):
        project.add("payments", f"svc-{number}", {"name": "native"}, ["cpu"])
    catalog = _catalog(project.folder)
    large = sizes(catalog, backend())
    assert ingest_mb(catalog, backend()) == pytest.approx(200 * 10 * MB_PER_POD)
    for role in ("distributor", "compaction-worker", "query-backend"):
        assert large[role].replicas > small[role].replicas, role
    assert large["segment-writer"].cpu > small["segment-writer"].cpu
    assert large["metastore"] == small["metastore"], "more copies of the index would not share the load"


def test_longer_segments_need_more_memory(root: Path) -> None:
    """What a writer holds grows with the time that it waits: the bill of requests is traded for memory."""

    def memory(duration: str) -> int:
        writes = Writes(segment_duration=duration)  # type: ignore[arg-type]
        return sizes(_catalog(root), backend(writes=writes, pods_per_service=1000))["segment-writer"].memory

    held = 12 * 1000 * MB_PER_POD / 2 * EXPANSION  # MB for each second, with one of three writers gone
    assert memory("4s") - memory("1s") == pytest.approx(2 * 3 * held, abs=512)


def test_only_listed_labels_are_stored() -> None:
    """labelkeep is anchored at both ends, as Prometheus anchors it."""
    kept = re.compile(f"^(?:{_KEPT})$")
    for label in (
        "__name__",
        "__type__",
        "__period_unit__",
        "__session_id__",
        "service_name",
        "team",
        "version",
        # What the node agent says of a sample (dataplane/internal/identity).
        *("service_version", "service_git_ref", "track", "namespace", "pod", "container", "node"),
    ):
        assert kept.match(label), label
    for label in ("span_name", "user", "email", "sql", "podcast", "service_name_x", "__address__", "my_team"):
        assert not kept.match(label), label


def test_each_tenant_has_the_list_of_labels(prod: Objects) -> None:
    data = prod[f"ConfigMap {SPACE}/pyroscope-overrides"]["data"]
    tenants = yaml.safe_load(data["overrides.yaml"])["overrides"]
    for name, limits in tenants.items():
        actions = [rule["action"] for rule in limits["ingestion_relabeling_rules"]]
        assert actions == ["labeldrop", "labelkeep"], name


def test_every_key_of_the_configuration_is_reviewed(root: Path, tmp_path: Path) -> None:
    """docs/backend.md has a row for every key that any environment renders, and none for a key that none renders."""
    rendered: set[str] = set()
    limits: set[str] = set()
    project = Project(root, tmp_path, locked=False).set(*WITH_PYROSCOPE)
    for stack in ("local", "dev", "staging", "prod"):
        objects = project.objects(stack)
        rendered |= set(_leaves(config(objects)))
        data = objects[f"ConfigMap {SPACE}/pyroscope-overrides"]["data"]["overrides.yaml"]
        limits |= {key for tenant in yaml.safe_load(data)["overrides"].values() for key in tenant}
    rendered |= {"storage.s3.sse.type", "storage.s3.sse.kms_key_id"}  # with objectStorage.kmsKey
    text = (root / "docs/backend.md").read_text()
    assert set(_reviewed(text, "## config.yaml", rendered)) == rendered
    assert set(_reviewed(text, "## overrides.yaml", limits)) == limits


def _leaves(document: Any, path: str = "") -> list[str]:
    if not isinstance(document, dict):
        return [path]
    return [leaf for key, value in document.items() for leaf in _leaves(value, f"{path}.{key}" if path else str(key))]


def _reviewed(text: str, section: str, known: set[str]) -> list[str]:
    """Keys in the first column of a section's table; `a.b, c` is short for `a.b, a.c`."""
    rows = text.partition(section)[2].partition("\n## ")[0].splitlines()
    found = []
    for row in rows:
        if row.startswith("| ") and not row.startswith(("| key", "| ---")):
            first, *others = row.split("|")[1].strip().split(", ")
            base = first.rpartition(".")[0]
            found += [first, *(other if other in known else f"{base}.{other}" for other in others)]
    return found


def _catalog(folder: Path) -> Any:
    found = catalogs.load(folder).catalog
    assert found
    return found
