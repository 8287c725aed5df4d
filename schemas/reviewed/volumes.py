"""What each program reads from outside its image: Secrets and the keys of them, ConfigMaps, tokens, disks.

A Secret that is mounted is a right to read it, whatever the API server would say. Volume by name -> what is in it, as
`policies/volumes.py` writes it. Names of Secrets are the settings'.
"""

from collections.abc import Mapping
from typing import Any, Final

from schemas.allowed import AGENT_HOST_PATHS
from schemas.reviewed.network import (
    AGENT,
    DEVSTORE,
    DOWNSAMPLE,
    GATEWAY,
    GRAFANA,
    JOBS,
    PROBE,
    PROXY,
    STORAGE,
    apart,
    own_grafana,
    parts,
    said,
)

Volumes = dict[str, str]
EMPTY: Final = "emptyDir"
SMALL: Final = f"{EMPTY} of 64Mi"
TOKEN: Final = "token for flameplane-gateway"  # noqa: S105  words
# What a program that calls the API server has: its token, who signs for the API server, its own namespace.
API_TOKEN: Final = "token for the API server, configMap kube-root-ca.crt [ca.crt], downwardAPI [metadata.namespace]"  # noqa: S105
CERTIFICATE: Final = "[ca.crt, tls.crt, tls.key] mode 440"
CATALOG: Final = "catalog-"  # of the organisation and of each team: jobs read all of them


def volumes(settings: Mapping[str, Any]) -> dict[str, Volumes]:
    """The volumes of every program of an environment."""
    pins, seccomp = AGENT_HOST_PATHS
    found: dict[str, Volumes] = {
        AGENT: {
            "pins": f"hostPath {pins} (DirectoryOrCreate)",
            "seccomp": f"hostPath {seccomp} (DirectoryOrCreate)",
            "config": "configMap node-services",
            "api-token": API_TOKEN,
            "gateway-token": TOKEN,
        },
        GATEWAY: {
            "config": "configMap gateway",
            "ci-gate": "configMap ci-gate",
            "grants": "configMap grants +optional",  # without it nothing leaves
            "api-token": API_TOKEN,
            "audit": f"{EMPTY} of 1Gi",
            **_certificate(settings, "client", "gateway-backend-tls"),
        },
        **{job: {"gateway-token": TOKEN, "tmp": f"{EMPTY} of 1Gi"} for job in JOBS},
        DOWNSAMPLE: {"gateway-token": TOKEN, "api-token": API_TOKEN, "tmp": f"{EMPTY} of 1Gi"},
        PROBE: {},
        PROXY: {"config": "configMap egress-proxy"},
        STORAGE: {"identities": _storage(settings, "s3.json"), "store-tmp": SMALL, "s3-tmp": SMALL},
        **{part: _backend(settings, part) for part in parts(settings)},
    }
    return found | ({GRAFANA: _grafana(settings)} if own_grafana(settings) else {})


def _certificate(settings: Mapping[str, Any], end: str, made: str) -> Volumes:
    if not said(settings, "backend.tls"):
        return {}
    return {"backend-tls": f"secret {said(settings, f'backend.tls.secrets.{end}', made)} {CERTIFICATE}"}


def _storage(settings: Mapping[str, Any], key: str) -> str:
    return f"secret {said(settings, 'backend.objectStorage.credentialsSecret')} [{key}]"


def _backend(settings: Mapping[str, Any], part: str) -> Volumes:
    if part == DEVSTORE:
        return {"overrides": "configMap pyroscope-overrides"}
    scratch = not apart(settings) or part.endswith("-compaction-worker")
    return {
        "config": "configMap pyroscope-config",
        "overrides": "configMap pyroscope-overrides",
        **({"scratch": f"{EMPTY} of 10Gi"} if scratch else {}),
        **_certificate(settings, "server", "pyroscope-tls"),
    }


def _grafana(settings: Mapping[str, Any]) -> Volumes:
    keys = ["client-secret", "secret-key"]
    keys += ["database-ca", "database-password"] if said(settings, "correlation.grafana.database") else []
    kept = said(settings, "correlation.grafana.storage")
    return {
        "datasources": "configMap flameplane-datasources",
        "providers": "configMap grafana-providers",
        "dashboards": "configMap flameplane-dashboards",
        "secret": f"secret {said(settings, 'correlation.grafana.secret')} [{', '.join(sorted(keys))}] mode 440",
        "data": "persistentVolumeClaim grafana" if kept else f"{EMPTY} of 1Gi",
        "tmp": SMALL,
    }
