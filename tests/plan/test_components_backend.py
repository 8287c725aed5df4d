"""Backend and jobs: what Pyroscope is told per environment and team. tests/upstream loads it with Pyroscope itself."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from variants import Objects, Project, named

from flameplane.plan import manifest, record


@pytest.fixture(scope="module")
def local(root: Path) -> Objects:
    return named([m for r in record(root, "local").resources if (m := manifest(r))])


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
    assert set(tenants) == {t + s for t in ("catalog", "insights", "payments", "storefront") for s in ("", "-longterm")}
    assert tenants["payments"]["retention_period"] == "720h"
    assert tenants["payments-longterm"]["retention_period"] == "2160h"
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
    project = Project(root, tmp_path, locked=False)
    project.edit(project.folder / "services/payments/_team.yaml", lambda d: d["spec"]["retention"].update(fineDays=31))
    key = "StatefulSet flameplane-backend/pyroscope"
    assert overrides(project.objects("local")) != overrides(local)
    assert pod(project.objects("local"), key) == pod(local, key)


def test_jobs_of_an_open_image_are_suspended(local: Objects, prod: Objects) -> None:
    names = [f"CronJob flameplane-system/flameplane-{n}" for n in ("downsample", "drift", "cost-report")]
    assert [local[n]["spec"]["suspend"] for n in names] == [True] * 3
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
    }
    assert not [k for k in prod if k.startswith("PersistentVolume ")]
