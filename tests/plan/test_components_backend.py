"""Backend and jobs: what Pyroscope is told per environment and team. tests/upstream loads it with Pyroscope itself."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from variants import WITH_PYROSCOPE, Objects, Project, named

from flameplane.plan import evaluate, manifest, record


@pytest.fixture(scope="module")
def local(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    """Environment local of whoever has a Pyroscope."""
    return with_pyroscope(root, tmp_path_factory.mktemp("local")).objects("local")


def with_pyroscope(root: Path, folder: Path) -> Project:
    return Project(root, folder, locked=False).set(*WITH_PYROSCOPE)


@pytest.fixture(scope="module")
def prod(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return Project(root, tmp_path_factory.mktemp("prod"), locked=True).objects()


def config(objects: Objects) -> Any:
    return yaml.safe_load(objects["ConfigMap flameplane-backend/pyroscope-config"]["data"]["config.yaml"])


def overrides(objects: Objects) -> Any:
    data = objects["ConfigMap flameplane-backend/pyroscope-overrides"]["data"]
    return yaml.safe_load(data["overrides.yaml"])["overrides"]


def pod(objects: Objects, key: str) -> Any:
    return objects[key]["spec"]["template"]


def test_prod_uses_the_clouds_own_identity_and_local_a_secret(local: Objects, prod: Objects) -> None:
    assert config(prod)["storage"]["s3"]["native_aws_auth_enabled"] is True
    assert not {"access_key_id", "insecure"} & config(prod)["storage"]["s3"].keys()
    assert config(local)["storage"]["s3"]["secret_access_key"] == "${S3_SECRET_KEY}"
    (container,) = pod(local, "StatefulSet flameplane-backend/pyroscope")["spec"]["containers"]
    secrets = {e["valueFrom"]["secretKeyRef"]["name"] for e in container["env"] if "valueFrom" in e}
    assert secrets == {"object-storage"}


def test_each_team_has_two_tenants_with_its_own_retention(local: Objects) -> None:
    tenants = overrides(local)
    teams = ("catalog", "insights", "payments", "platform", "storefront")
    assert set(tenants) == {team + ending for team in teams for ending in ("", "-longterm")}
    assert tenants["payments"]["retention_period"] == "720h"
    assert tenants["payments-longterm"]["retention_period"] == "2040h"
    for name, limits in tenants.items():
        assert limits["max_query_lookback"] == limits["retention_period"], f"{name} could not read what it keeps"


def test_only_the_longterm_tenant_takes_old_and_large_profiles(local: Objects) -> None:
    tenants = overrides(local)
    assert tenants["payments"]["reject_older_than"] == "1h"
    assert tenants["payments-longterm"]["reject_older_than"] == "24h"
    assert "max_profile_size_bytes" not in tenants["payments"]


def test_a_large_team_gets_a_larger_rate(root: Path, tmp_path: Path) -> None:
    """Pyroscope's default of 4 MB/s already drops profiles of a team of this size."""
    project = Project(root, tmp_path, locked=False)
    for number in range(30):
        project.add("payments", f"svc-{number}", {"name": "native"}, ["cpu"])
    assert overrides(project.objects())["payments"]["ingestion_rate_mb"] > 4


def test_only_pyroscopes_own_config_restarts_it(root: Path, tmp_path: Path, local: Objects) -> None:
    """Overrides are read again while it runs; config.yaml is not, so its hash is part of the pod."""
    project = with_pyroscope(root, tmp_path)
    project.edit(project.folder / "services/payments/_team.yaml", lambda d: d["spec"]["retention"].update(fineDays=31))
    key = "StatefulSet flameplane-backend/pyroscope"
    assert overrides(project.objects("local")) != overrides(local)
    assert pod(project.objects("local"), key) == pod(local, key)


def test_jobs_of_an_open_image_are_suspended(local: Objects, prod: Objects) -> None:
    names = [f"CronJob flameplane-system/flameplane-{n}" for n in ("downsample", "drift", "cost-report")]
    assert [local[n]["spec"]["suspend"] for n in names] == [False, True, True]
    assert [prod[n]["spec"]["suspend"] for n in names] == [False] * 3


def test_seaweedfs_listens_outside_its_pod_with_keys_only(local: Objects, prod: Objects) -> None:
    containers = {
        c["name"]: c["args"] for c in pod(local, "StatefulSet flameplane-backend/object-storage")["spec"]["containers"]
    }
    assert {"-ip.bind=127.0.0.1", "-disableHttp", "-s3=false", "-master.telemetry=false"} <= set(containers["store"])
    assert {"-ip.bind=0.0.0.0", "-config=/etc/object-storage/s3.json", "-iam=false"} <= set(containers["s3"])
    assert not [key for key in prod if "object-storage" in key]


def test_prod_waits_for_no_static_volume(local: Objects, prod: Objects) -> None:
    assert {k for k in local if k.startswith("PersistentVolume ")} == {
        "PersistentVolume flameplane-blocks",
        "PersistentVolume flameplane-metastore",
        "PersistentVolume flameplane-profiles",
    }
    assert not [k for k in prod if k.startswith("PersistentVolume ")]


def test_local_runs_devstore_with_the_limits_of_pyroscope(root: Path, local: Objects) -> None:
    here = named([m for r in record(root, "local").resources if (m := manifest(r))])
    assert "StatefulSet flameplane-backend/pyroscope" not in here
    assert "StatefulSet flameplane-backend/devstore" not in local
    assert overrides(here) == overrides(local)
    (container,) = pod(here, "StatefulSet flameplane-backend/devstore")["spec"]["containers"]
    assert container["image"] == "localhost/flameplane/devstore:local"
    mounted = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert f"--overrides={mounted['overrides']}/overrides.yaml" in container["args"]
    gateway = yaml.safe_load(here["ConfigMap flameplane-access/gateway"]["data"]["gateway.yaml"])
    assert set(gateway["backend"].values()) == {"http://devstore.flameplane-backend.svc:4040"}
    claimed = here["PersistentVolume flameplane-profiles"]["spec"]["claimRef"]["name"]
    (claim,) = here["StatefulSet flameplane-backend/devstore"]["spec"]["volumeClaimTemplates"]
    assert claimed == f"{claim['metadata']['name']}-devstore-0"


def test_nobody_reaches_the_object_storage_that_devstore_leaves_alone(root: Path, local: Objects) -> None:
    here = named([m for r in record(root, "local").resources if (m := manifest(r))])
    key = "NetworkPolicy flameplane-backend/object-storage"
    assert not here[key]["spec"].get("ingress")
    assert len(local[key]["spec"]["ingress"]) == 1
    assert not [
        rule
        for rule in here["NetworkPolicy flameplane-backend/devstore"]["spec"].get("egress") or ()
        if {"port": 53, "protocol": "UDP"} not in rule["ports"]
    ]


@pytest.mark.parametrize("backend", ["devstore", "process"])
def test_the_pack_lets_both_backends_of_local_pass(root: Path, tmp_path: Path, backend: str) -> None:
    project = Project(root, tmp_path, locked=False)
    project.set("local", "architecture: devstore", f"architecture: {backend}")
    found = evaluate(record(project.folder, "local"), root)
    assert [f for f in found if f.severity == "error"] == []
