"""`flameplane local up` on a real API server: what is declared is there, nothing is touched twice, everything is valid.

Strict validation of prod's objects is the API server's, not EKS's, and says nothing about controllers that exist only
there (no load balancer, no Prometheus operator, no cert-manager: their types are taken from their published CRDs).
"""

import base64
import copy
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from environments import ENVIRONMENTS, FLEETS, Environment
from platform_client import Platform

from flameplane.local.kubectl import Object
from flameplane.local.objects import key
from local import cache, golang

SECOND_RUN = 60  # seconds at most; the promise of `make up`
# Go modules that publish CRDs: version, sum as the Go checksum database has it, and the files.
PUBLISHED = {
    "github.com/prometheus-operator/prometheus-operator": (
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        [
            f"example/prometheus-operator-crd/monitoring.coreos.com_{name}.yaml"
            for name in ("prometheusrules", "podmonitors")
        ],
    ),
    "github.com/cert-manager/cert-manager": (
        "v1.19.1",
        "h1:Txh8L/nLWTDcb7ZnXuXbTe15BxQnLbLirXmbNk0fGgY=",
        ["deploy/crds/cert-manager.io_certificates.yaml"],
    ),
}
OF_OPERATORS = ("monitoring.coreos.com/", "cert-manager.io/")


def test_every_declared_object_is_there(platform: Platform, environment_of: Callable[[str], Environment]) -> None:
    declared = {str(key(item)) for item in environment_of("local").manifests}
    assert set(platform.members()) == declared
    assert len(declared) > 50


def test_every_workload_runs(platform: Platform) -> None:
    """Those that wait for an image are told apart in tests/plan/test_apply.py; here none does."""
    status = platform.local("status")
    assert status.code == 0, status.text
    own = ("gateway", "devstore", "object-storage", "flameplane-node")
    running = dict.fromkeys(own, "1/1") | {"network-probe": "2/2"}
    for name, pods in {**running, **dict.fromkeys(("checkout", "search", "web-bff", "recommender"), "1/1")}.items():
        (line,) = [line for line in status.text.splitlines() if line.split()[2:3] == [name]]
        assert line.split()[3:] == [pods, "Ready"]
    assert "cannot run yet" not in status.text


def test_a_second_run_is_quick_and_touches_nothing(platform: Platform) -> None:
    before, start = platform.versions(), time.monotonic()
    said = platform.up()
    assert time.monotonic() - start < SECOND_RUN
    assert platform.versions() == before
    assert "0 created, 0 changed" in said
    assert "0 removed" in said


def test_no_key_is_ever_printed(platform: Platform) -> None:
    secret = platform.get("secret", "object-storage", "--namespace=flameplane-backend")
    said = platform.up() + platform.local("status").text
    for value in secret["data"].values():
        assert value not in said
        assert base64.b64decode(value).decode() not in said


# -- every rendered object -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def operator_types(platform: Platform) -> Iterator[str]:
    """Types of operators, from their Go modules; the reason when one cannot be had."""
    try:
        definitions = [found for module in PUBLISHED for found in operator_definitions(platform.root, module)]
    except OSError as error:
        yield str(error)
        return
    applied = platform.call("apply", "--server-side", "--field-manager=test", objects=definitions)
    assert applied.ok, applied.err
    waited = platform.call("wait", "--for=condition=Established", "--timeout=30s", objects=definitions)
    assert waited.ok, waited.err
    yield ""
    platform.call("delete", "--wait", objects=definitions)


def operator_definitions(root: Path, name: str) -> list[Object]:
    """CRDs as published in a module, checked against a pinned hash."""
    version, checksum, files = PUBLISHED[name]
    go = golang.toolchain(root / "local/kube").program
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [go, "mod", "download", "-json", f"{name}@{version}"],
            cwd=folder,
            env=golang.environment(cache.root() / "go"),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise OSError(f"{name} cannot be downloaded: {done.stderr or done.stdout}")
    module = json.loads(done.stdout)
    assert module["Sum"] == checksum
    return [yaml.safe_load((Path(module["Dir"]) / file).read_text()) for file in files]


@contextmanager
def namespaces_of(objects: list[Object], platform: Platform) -> Iterator[None]:
    """Namespaces that an environment expects to be there: objects cannot be tried without them."""
    declared = {item["metadata"].get("namespace") for item in objects}
    present = {item["metadata"]["name"] for item in platform.kubectl.get("namespaces", doing="list namespaces")}
    missing = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in declared - present if name
    ]
    if missing:
        assert platform.call("create", objects=missing).ok
    yield
    if missing:
        platform.call("delete", "--wait", objects=missing)


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, *FLEETS])
def test_the_api_server_accepts_every_rendered_object(
    platform: Platform, environment_of: Callable[[str], Environment], operator_types: str, environment: str
) -> None:
    objects = [another(item) for item in environment_of(environment).manifests]
    if operator_types:
        left_out = [item for item in objects if item["apiVersion"].startswith(OF_OPERATORS)]
        objects = [item for item in objects if item not in left_out]
    with namespaces_of(objects, platform):
        result = platform.call("create", "--dry-run=server", "--validate=strict", "--output=name", objects=objects)
    assert result.ok, result.err
    assert len(result.out.splitlines()) == len(objects)
    if operator_types and left_out:
        pytest.skip(f"NOT RUN for {[str(key(item)) for item in left_out]}: {operator_types}")


def another(item: Object) -> Object:
    """The object under a name that nothing has, so that creating it is judged and not refused as a duplicate."""
    changed = copy.deepcopy(item)
    changed["metadata"]["name"] += "-tried"
    return changed


def test_strict_validation_is_on(platform: Platform, environment_of: Callable[[str], Environment]) -> None:
    """The test above would mean nothing if the API server let anything pass."""
    (item,) = [another(m) for m in environment_of("local").manifests if m["kind"] == "DaemonSet"]
    item["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privilged"] = False
    result = platform.try_create(item)
    assert not result.ok
    assert "privilged" in result.err
