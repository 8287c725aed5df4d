"""A grant to export is used up once, whichever replica asks first: real Leases, and the gateway's own account."""

import base64
import json
import os
import subprocess
from pathlib import Path

import yaml
from gateway_door import build
from platform_client import Platform

from schemas.allowed import ACCESS_NAMESPACE

TEST = "TestOneOfAllReplicasUsesAGrant"


def test_one_of_all_replicas_uses_a_grant(platform: Platform, tmp_path: Path) -> None:
    command = [build(tmp_path, "grants"), "-test.v", f"-test.run=^{TEST}$"]
    done = subprocess.run(
        command,
        env={**os.environ, "FLAMEPLANE_GRANTS_API": json.dumps(api(platform))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and f"--- PASS: {TEST}" in done.stdout, done.stdout + done.stderr
    leases = platform.kubectl.get("leases", f"--namespace={ACCESS_NAMESPACE}", doing="find Leases")
    raced = [lease["metadata"]["name"] for lease in leases if "-race-" in lease["metadata"]["name"]]
    assert len(raced) >= 25
    assert platform.call("delete", "lease", f"--namespace={ACCESS_NAMESPACE}", *raced).ok


def api(platform: Platform) -> dict[str, str]:
    """The API server, and a token of the gateway's account."""
    (cluster,) = yaml.safe_load(platform.kubectl.kubeconfig.read_text())["clusters"]
    token = platform.call("create", "token", "gateway", f"--namespace={ACCESS_NAMESPACE}")
    assert token.ok, token.err
    return {
        "host": cluster["cluster"]["server"],
        "ca": base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode(),
        "token": token.out.strip(),
        "namespace": ACCESS_NAMESPACE,
    }
