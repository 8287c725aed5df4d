"""The real Pyroscope loads the rendered config.yaml and overrides.yaml of both environments, and does what they say.

Proves that every key is one it knows (it refuses others), what the values become, that tenants are apart, and for
environment local that it stores in the declared SeaweedFS. It cannot prove S3 at a cloud provider (prod stores in a
folder here) or what several replicas do.
"""

import base64
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from object_storage import ObjectStorage, seaweedfs
from servers import NotReady, Pyroscope, pyroscope, request, until

from flameplane import plan
from flameplane.catalog import load
from schemas.allowed import BACKEND_NAMESPACE

ENVIRONMENTS = ("local", "prod")
DAY = 86400
LOCAL_STORAGE = tuple(("storage", "s3", key) for key in ("endpoint", "access_key_id", "secret_access_key"))
CLOUD_STORAGE = (("storage", "backend"),)
UNITS = {"d": DAY, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Rendered:
    """What one environment declares for the backend."""

    files: dict[str, str]
    container: dict[str, Any]
    storage: dict[str, Any] | None

    @classmethod
    def of(cls, root: Path, stack: str) -> "Rendered":
        objects = [m for r in plan.record(root, stack).resources if (m := plan.manifest(r))]
        named = {
            (m["kind"], m["metadata"]["name"]): m
            for m in objects
            if m["metadata"].get("namespace") == BACKEND_NAMESPACE
        }
        files = {**named["ConfigMap", "pyroscope-config"]["data"], **named["ConfigMap", "pyroscope-overrides"]["data"]}
        pod = named["StatefulSet", "pyroscope"]["spec"]["template"]["spec"]
        return cls(files, pod["containers"][0], named.get(("StatefulSet", "object-storage")))


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
    if stored:
        flags = [f"-storage.s3.endpoint={stored.endpoint}"]
        keys = {"S3_ACCESS_KEY": stored.access_key, "S3_SECRET_KEY": stored.secret_key}
    with pyroscope(pyroscope_binary, folder, rendered.files, flags, **keys) as started:
        yield started


def on_folder(folder: Path) -> list[str]:
    return ["-storage.backend=filesystem", f"-storage.filesystem.dir={folder / 'blocks'}"]


def seconds(duration: str) -> float:
    """30d, 720h and 1d12h as seconds."""
    total, number = 0.0, ""
    for character in str(duration):
        if character.isdigit() or character == ".":
            number += character
        else:
            total, number = total + float(number) * UNITS[character], ""
    return total


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, document


def same(declared: Any, runs: Any) -> bool:
    if isinstance(declared, str) and isinstance(runs, str) and declared != runs:
        try:
            return seconds(declared) == seconds(runs)
        except (KeyError, ValueError):
            return False
    return bool(declared == runs)


def differences(declared: Any, runs: Any, ours: tuple[tuple[str, ...], ...] = ()) -> list[str]:
    """Every declared value that the server does not run with; ``ours`` are paths that this test gave it by flags."""
    found = []
    for path, value in leaves(declared):
        if any(path[: len(skip)] == skip for skip in ours):
            continue
        at = runs
        for key in path:
            at = at.get(key, "absent") if isinstance(at, dict) else "absent"
        if not same(value, at):
            found.append(f"{'.'.join(path)}: declared {value!r}, runs with {at!r}")
    return found


def test_it_runs_with_every_declared_value(server: Pyroscope, rendered: Rendered) -> None:
    given_by_this_test = (
        ("server", "http_listen_port"),
        ("server", "grpc_listen_port"),
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
        wanted[f"{team.name}-longterm"] = team.spec.retention.downsampled_days * DAY
    assert {tenant: seconds(limits["retention_period"]) for tenant, limits in runs.items()} == wanted


@pytest.mark.parametrize("method", ["querier.v1.QuerierService/LabelNames", "push.v1.PusherService/Push"])
def test_without_a_tenant_nothing_is_answered(server: Pyroscope, method: str) -> None:
    assert server.call(method, {}).status == 401


@pytest.mark.parametrize("path", ["/ops/object-store/tenants", "/metrics", "/debug/pprof/", "/runtime_config"])
def test_operational_routes_are_on_the_admin_port_alone(server: Pyroscope, path: str) -> None:
    assert request(server.admin + path).status == 200
    assert request(server.url + path).status == 404


def test_the_probes_are_answered(server: Pyroscope, rendered: Rendered) -> None:
    bases = {"http": server.url, "metrics": server.admin}
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
    """So that loading a file proves something about every key in it."""
    files = {**rendered.files, name: rendered.files[name].replace("retention_period", "retention_perriod")}
    with (
        pytest.raises(NotReady, match="retention_perriod"),
        pyroscope(pyroscope_binary, tmp_path, files, on_folder(tmp_path)),
    ):
        pass
