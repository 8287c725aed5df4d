"""The pod of a Grafana of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pulumi_kubernetes.core.v1 import KeyToPathArgsDict, PodSpecArgsDict, VolumeArgsDict

from components import pods
from components.grafana import DASHBOARDS, DATASOURCES
from components.grafana_settings import DATA, HTTP_PORT, PROVISIONING, SECRET
from components.pods import Images
from components.text import as_yaml
from schemas.settings.correlation import OwnGrafana

NAME: Final = "grafana"
UID: Final = 10472  # the published image's 472 is an id that a node may have given to somebody
BOARDS: Final = "/etc/flameplane/grafana/dashboards"
_HOME: Final = "/usr/share/grafana"


@dataclass(frozen=True)
class GrafanaPod:
    """Restricted, read-only root; settings by environment, secrets by files, provisioning from ConfigMaps."""

    images: Images
    grafana: OwnGrafana
    settings: Mapping[str, str]

    def spec(self) -> PodSpecArgsDict:
        """The pod of the Deployment."""
        return {
            **pods.program(NAME, UID, 30, fs_group=True),
            "topology_spread_constraints": [pods.spread(NAME)],
            "containers": [
                {
                    "name": NAME,
                    "image": self.images.reference(NAME),
                    "image_pull_policy": self.images.pull_policy,
                    # Not the image's start script, which installs plugins from the internet.
                    "command": [f"{_HOME}/bin/grafana"],
                    "args": ["server", f"--homepath={_HOME}"],
                    "env": [{"name": name, "value": value} for name, value in self.settings.items()],
                    "security_context": pods.restricted_container(),
                    "resources": pods.resources("100m", "256Mi", "1", "512Mi"),
                    "ports": [pods.port("http", HTTP_PORT)],
                    "readiness_probe": pods.http_probe("/api/health", "http"),
                    "liveness_probe": pods.http_probe("/api/health", "http", period=30),
                    "volume_mounts": [
                        {"name": "datasources", "mount_path": f"{PROVISIONING}/datasources", "read_only": True},
                        {"name": "providers", "mount_path": f"{PROVISIONING}/dashboards", "read_only": True},
                        {"name": "dashboards", "mount_path": BOARDS, "read_only": True},
                        {"name": "secret", "mount_path": SECRET, "read_only": True},
                        {"name": "data", "mount_path": DATA},
                        {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
                    ],
                }
            ],
            "volumes": [
                {"name": "datasources", "config_map": {"name": DATASOURCES}},
                {"name": "providers", "config_map": {"name": "grafana-providers"}},
                {"name": "dashboards", "config_map": {"name": DASHBOARDS}},
                self._secret(),
                self._data(),
                {"name": "tmp", "empty_dir": {"size_limit": "64Mi"}},
            ],
        }

    def _secret(self) -> VolumeArgsDict:
        keys = ["client-secret", "secret-key", *(["database-password", "database-ca"] if self.grafana.database else [])]
        items: list[KeyToPathArgsDict] = [{"key": key, "path": key} for key in keys]
        return {"name": "secret", "secret": {"secret_name": self.grafana.secret, "default_mode": 0o440, "items": items}}

    def _data(self) -> VolumeArgsDict:
        if self.grafana.storage:
            return {"name": "data", "persistent_volume_claim": {"claim_name": NAME}}
        return {"name": "data", "empty_dir": {"size_limit": "1Gi"}}


def provider() -> str:
    """Which folder dashboards come from, and that nobody changes them in the browser."""
    return as_yaml(
        {
            "apiVersion": 1,
            "providers": [
                {"name": "flameplane", "allowUiUpdates": False, "disableDeletion": True, "options": {"path": BOARDS}}
            ],
        }
    )
