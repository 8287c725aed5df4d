"""The real Grafana takes the rendered data sources, dashboard and settings of both environments.

Proves that Grafana accepts the provisioning files and keeps every declared field. It cannot prove that a data source
answers: gateway, trace store and Prometheus are not there.
"""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers import HOST, Answer, free_ports, request, running

from components.grafana_settings import HARDENING
from flameplane import plan

WHERE = "set it to the folder of an unpacked Grafana 12 or newer (with bin/grafana, conf/ and public/)"
KEPT = ("name", "type", "access", "url")


@pytest.fixture(scope="module")
def home() -> Path:
    folder = Path(os.environ.get("FLAMEPLANE_GRAFANA", ""))
    if not os.environ.get("FLAMEPLANE_GRAFANA"):
        pytest.skip(f"NOT RUN: no Grafana in $FLAMEPLANE_GRAFANA; {WHERE}")
    if not (folder / "bin" / "grafana").is_file():
        pytest.skip(f"NOT RUN: FLAMEPLANE_GRAFANA has no bin/grafana: {folder}; {WHERE}")
    return folder.resolve()


@dataclass(frozen=True)
class Grafana:
    """A running Grafana and what it was given."""

    url: str
    password: str
    datasources: list[dict[str, Any]]
    dashboards: list[dict[str, Any]]

    def get(self, path: str) -> Answer:
        """One call of its API as the administrator."""
        token = base64.b64encode(f"admin:{self.password}".encode()).decode()
        return request(self.url + path, headers={"Authorization": f"Basic {token}"})


@pytest.fixture(scope="module", params=["local", "prod"])
def grafana(
    home: Path, root: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Grafana]:
    objects = [m for r in plan.record(root, request.param).resources if (m := plan.manifest(r))]
    data = {m["metadata"]["name"]: m["data"] for m in objects if m["kind"] == "ConfigMap"}
    sources, boards = data["flameplane-datasources"], data["flameplane-dashboards"]
    folder = tmp_path_factory.mktemp("grafana")
    written = {
        **{f"provisioning/datasources/{name}": text for name, text in sources.items()},
        **{f"dashboards/{name}": text for name, text in boards.items()},
        "provisioning/dashboards/flameplane.yaml": yaml.safe_dump(provider(folder / "dashboards")),
    }
    for name, text in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (port,) = free_ports(1)
    given = [source for text in sources.values() for source in yaml.safe_load(text)["datasources"]]
    server = Grafana(f"http://{HOST}:{port}", secrets.token_hex(), given, [json.loads(t) for t in boards.values()])
    settings = {
        **data["grafana-hardening"],
        "GF_SERVER_HTTP_ADDR": HOST,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_SECURITY_ADMIN_PASSWORD": server.password,
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        # Nothing is fetched while the test runs.
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    }
    command = [home / "bin" / "grafana", "server", f"--homepath={home}"]
    with running(command, folder, lambda: answered(server), **settings):
        yield server


def provider(dashboards: Path) -> dict[str, Any]:
    """What the sidecar in the cluster does for dashboards: a folder that Grafana reads."""
    return {"apiVersion": 1, "providers": [{"name": "flameplane", "options": {"path": str(dashboards)}}]}


def answered(server: Grafana) -> bool:
    return server.get("/api/health").status == 200


def test_every_data_source_is_kept_as_declared(grafana: Grafana) -> None:
    assert grafana.datasources
    for declared in grafana.datasources:
        answer = grafana.get(f"/api/datasources/uid/{declared['uid']}")
        assert answer.status == 200, f"{declared['uid']}: {answer.text}"
        runs = json.loads(answer.text)
        assert {key: runs[key] for key in KEPT} == {key: declared[key] for key in KEPT}
        assert {key: runs["jsonData"].get(key) for key in declared["jsonData"]} == declared["jsonData"]
        assert runs["readOnly"] is True


def test_every_span_leads_to_the_profile_of_its_service(grafana: Grafana) -> None:
    """The correlation, with the variable that Grafana fills in when a span is clicked."""
    linked = [source for source in grafana.datasources if source.get("correlations")]
    assert linked
    for declared in linked:
        answer = grafana.get(f"/api/datasources/uid/{declared['uid']}/correlations")
        assert answer.status == 200, answer.text
        (runs,) = json.loads(answer.text)
        (wanted,) = declared["correlations"]
        assert (runs["targetUID"], runs["label"]) == (wanted["targetUID"], wanted["label"])
        assert runs["config"]["target"]["labelSelector"] == '{service_name="${serviceName}"}'


def test_every_hardened_setting_is_one_that_grafana_knows(grafana: Grafana) -> None:
    """A variable of a name that Grafana does not know has no effect, and nobody would notice."""
    answer = grafana.get("/api/admin/settings")
    assert answer.status == 200, answer.text
    runs = {
        f"GF_{section}_{key}".upper().replace(".", "_").replace("-", "_"): value
        for section, values in json.loads(answer.text).items()
        for key, value in values.items()
    }
    assert {name: runs.get(name) for name in HARDENING} == HARDENING


def test_every_dashboard_is_there(grafana: Grafana) -> None:
    assert grafana.dashboards
    for declared in grafana.dashboards:
        answer = grafana.get(f"/api/dashboards/uid/{declared['uid']}")
        assert answer.status == 200, answer.text
        assert json.loads(answer.text)["dashboard"]["title"] == declared["title"]


def test_anonymous_users_see_nothing(grafana: Grafana) -> None:
    assert request(f"{grafana.url}/api/datasources").status == 401
