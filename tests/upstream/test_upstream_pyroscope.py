"""The real Pyroscope loads what is rendered for environments that run it as one process, and does what the files say.

Proves that every key is one it knows (it refuses others), what the values become, that tenants are apart, and for
environment local that it stores in the declared SeaweedFS. It cannot prove S3 at a cloud provider (dev stores in a
folder here) or what several replicas do: for them, see test_upstream_pyroscope_microservices.py.
"""

import base64
import json
import ssl
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import authority, certificate
from declared import differences, project_with_pyroscope, seconds
from object_storage import ObjectStorage, seaweedfs
from servers import NotReady, Pyroscope, pyroscope, request, until

from flameplane import plan
from flameplane.catalog import load
from schemas.allowed import BACKEND_NAMESPACE

ENVIRONMENTS = ("local", "dev")  # those of one process; the others: test_upstream_pyroscope_microservices.py
DAY = 86400
LOCAL_STORAGE = tuple(("storage", "s3", key) for key in ("endpoint", "access_key_id", "secret_access_key"))
CLOUD_STORAGE = (("storage", "backend"),)


@dataclass(frozen=True)
class Rendered:
    """What one environment declares for the backend."""

    files: dict[str, str]
    container: dict[str, Any]
    storage: dict[str, Any] | None
    certificates: dict[str, Any]

    @classmethod
    def of(cls, root: Path, stack: str) -> "Rendered":
        with project_with_pyroscope(root) as project:
            objects = [m for r in plan.record(project, stack).resources if (m := plan.manifest(r))]
        named = {
            (m["kind"], m["metadata"]["name"]): m
            for m in objects
            if m["metadata"].get("namespace") == BACKEND_NAMESPACE
        }
        # Pyroscope's first, then the gateway's.
        certificates = {m["metadata"]["name"]: m["spec"] for m in objects if m["kind"] == "Certificate"}
        certificates = dict(sorted(certificates.items(), key=lambda item: item[0] != "pyroscope-tls"))
        files = {**named["ConfigMap", "pyroscope-config"]["data"], **named["ConfigMap", "pyroscope-overrides"]["data"]}
        pod = named["StatefulSet", "pyroscope"]["spec"]["template"]["spec"]
        return cls(files, pod["containers"][0], named.get(("StatefulSet", "object-storage")), certificates)


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def rendered(request: pytest.FixtureRequest, root: Path) -> Rendered:
    return Rendered.of(root, request.param)


@pytest.fixture(scope="module")
def stored(rendered: Rendered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage | None]:
    """The declared SeaweedFS; none where blocks go to a cloud."""
    if rendered.storage is None:
        yield None
        return
    with seaweedfs(rendered.storage, tmp_path_factory.mktemp("seaweedfs")) as storage:
        yield storage


@pytest.fixture(scope="module")
def server(
    rendered: Rendered, stored: ObjectStorage | None, pyroscope_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pyroscope]:
    folder = tmp_path_factory.mktemp("pyroscope")
    flags, keys = on_folder(folder), {}
    own, called_with = certified(rendered, folder)
    if stored:
        flags = [f"-storage.s3.endpoint={stored.endpoint}"]
        keys = {"S3_ACCESS_KEY": stored.access_key, "S3_SECRET_KEY": stored.secret_key}
    with pyroscope(pyroscope_binary, folder, rendered.files, [*flags, *own], called_with, **keys) as started:
        yield started


def certified(rendered: Rendered, folder: Path) -> tuple[list[str], ssl.SSLContext | None]:
    """Flags with the paths of certificates, and the gateway's own: nothing where TLS is not declared."""
    if not rendered.certificates:
        return [], None
    ca = authority(folder / "ca")
    server, client = (certificate(ca, folder / name, spec) for name, spec in rendered.certificates.items())
    context = ssl.create_default_context(cafile=str(ca / "ca.crt"))
    context.check_hostname = False  # an address of this machine
    context.load_cert_chain(client / "tls.crt", client / "tls.key")
    files = {"cert": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
    return [f"-server.http-tls-{what}-path={server / file}" for what, file in files.items()], context


def on_folder(folder: Path) -> list[str]:
    return ["-storage.backend=filesystem", f"-storage.filesystem.dir={folder / 'blocks'}"]


def test_it_runs_with_every_declared_value(server: Pyroscope, rendered: Rendered) -> None:
    given_by_this_test = (
        ("server", "http_listen_port"),
        ("server", "grpc_listen_port"),
        ("server", "http_tls_config"),
        ("admin_server", "http_listen_address"),
        ("admin_server", "http_listen_port"),
        ("metastore", "data_dir"),
        ("metastore", "raft"),
        ("compaction_worker", "temp_dir"),
        ("runtime_config", "file"),
        ("show_banner",),  # not shown when false
        *(LOCAL_STORAGE if rendered.storage else CLOUD_STORAGE),
    )
    runs = yaml.safe_load(request(f"{server.admin}/api/v1/status/config").text)
    assert differences(yaml.safe_load(rendered.files["config.yaml"]), runs, given_by_this_test) == []


def test_every_tenant_has_its_declared_limits(server: Pyroscope, rendered: Rendered) -> None:
    runs = yaml.safe_load(request(f"{server.admin}/runtime_config").text)
    declared = yaml.safe_load(rendered.files["overrides.yaml"])
    # Shown as {} whatever it holds; test_a_profile_is_found_by_its_tenant_alone sees it work.
    hidden = tuple(("overrides", tenant, "distributor_usage_groups") for tenant in declared["overrides"])
    assert differences(declared, runs, hidden) == []


def test_retention_is_what_each_team_declares(server: Pyroscope, root: Path) -> None:
    runs = yaml.safe_load(request(f"{server.admin}/runtime_config").text)["overrides"]
    catalog = load(root).catalog
    assert catalog is not None
    wanted = {}
    for team in catalog.teams:
        wanted[team.name] = team.spec.retention.fine_days * DAY
        wanted[f"{team.name}-longterm"] = min(team.spec.retention.downsampled_days, 85) * DAY
    assert {tenant: seconds(limits["retention_period"]) for tenant, limits in runs.items()} == wanted


@pytest.mark.parametrize("method", ["querier.v1.QuerierService/LabelNames", "push.v1.PusherService/Push"])
def test_without_a_tenant_nothing_is_answered(server: Pyroscope, method: str) -> None:
    assert server.call(method, {}).status == 401


@pytest.mark.parametrize("path", ["/ops/object-store/tenants", "/metrics", "/debug/pprof/", "/runtime_config"])
def test_operational_routes_are_on_the_admin_port_alone(server: Pyroscope, path: str) -> None:
    assert request(server.admin + path).status == 200
    assert server.get(path).status == 404


def test_the_probes_are_answered(server: Pyroscope, rendered: Rendered) -> None:
    bases = {"metrics": server.admin}
    probes = [rendered.container[name] for name in rendered.container if name.endswith("Probe")]
    assert probes
    for probe in probes:
        assert request(bases[probe["httpGet"]["port"]] + probe["httpGet"]["path"]).status == 200, probe


def test_a_profile_is_found_by_its_tenant_alone(server: Pyroscope, stored: ObjectStorage | None) -> None:
    with urllib.request.urlopen(f"{server.admin}/debug/pprof/heap", timeout=30) as answer:
        profile = base64.b64encode(answer.read()).decode()
    labels = [{"name": "service_name", "value": "checkout"}, {"name": "__name__", "value": "memory"}]
    series = {"labels": labels, "samples": [{"rawProfile": profile}]}
    pushed = server.call("push.v1.PusherService/Push", {"series": [series]}, "payments")
    assert pushed.status == 200, pushed.text

    now = int(time.time() * 1000)
    question = {"name": "service_name", "start": now - 3_600_000, "end": now + 60_000}

    def services(tenant: str) -> list[str]:
        found = server.call("querier.v1.QuerierService/LabelValues", question, tenant)
        assert found.status == 200, found.text
        return list(json.loads(found.text).get("names", []))

    assert until(lambda: services("payments") == ["checkout"], 30)
    assert services("catalog") == []
    counted = (
        'pyroscope_usage_group_received_decompressed_total{tenant="payments",type="memory",usage_group="svc/checkout"}'
    )
    assert counted in request(f"{server.admin}/metrics").text
    if stored:
        assert stored.size() > 0


@pytest.mark.parametrize("name", ["config.yaml", "overrides.yaml"])
def test_an_unknown_key_is_refused(rendered: Rendered, pyroscope_binary: Path, tmp_path: Path, name: str) -> None:
    """So that loading a file proves something about every key in it. That the right key is served: ``server``.

    Where the overrides are at fault, the reason is at times not written before the process ends.
    """
    files = {**rendered.files, name: rendered.files[name].replace("retention_period", "retention_perriod")}
    own, called_with = certified(rendered, tmp_path)
    flags = [*on_folder(tmp_path), *own]
    with (
        pytest.raises(NotReady, match=r"retention_perriod|failed services"),
        pyroscope(pyroscope_binary, tmp_path, files, flags, called_with),
    ):
        pass
