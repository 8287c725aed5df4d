"""Keys of the local object storage: random, made once per cluster, only ever on the API server.

Never on a command line, in a log or in a file; the program and the settings know the Secret's name only.
"""

import base64
import json
import secrets

from flameplane.local.kubectl import Kubectl, Object
from schemas.allowed import BACKEND_NAMESPACE

# Lengths as of AWS keys, which some S3 clients check.
ACCESS_KEY_BYTES, SECRET_KEY_BYTES = 10, 30
ACTIONS = ("Read", "Write", "List", "Tagging")  # SeaweedFS: what the backend needs, and in its own bucket only


def ensure(kubectl: Kubectl, name: str, bucket: str) -> bool:
    """Make the Secret if it is not there; True when it was made. An existing one is never changed."""
    namespace = f"--namespace={BACKEND_NAMESPACE}"
    look = ("get", "secret", name, namespace, "--ignore-not-found", "--output=name")  # the name: values stay there
    if kubectl.run(*look, doing=f"look for the Secret {name}").strip():
        return False
    kubectl.run("create", objects=[secret(name, bucket)], doing=f"make the Secret {name}")
    return True


def secret(name: str, bucket: str) -> Object:
    """The Secret with new random keys for one bucket."""
    access_key, secret_key = secrets.token_hex(ACCESS_KEY_BYTES), secrets.token_urlsafe(SECRET_KEY_BYTES)
    identity = _identity(access_key, secret_key, bucket)
    values = {"access-key": access_key, "secret-key": secret_key, "s3.json": json.dumps({"identities": [identity]})}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": BACKEND_NAMESPACE,
            "labels": {
                "app.kubernetes.io/name": name,
                "app.kubernetes.io/part-of": "flameplane",
                "app.kubernetes.io/managed-by": "flameplane-local",
            },
        },
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def _identity(access_key: str, secret_key: str, bucket: str) -> Object:
    """As SeaweedFS reads it: rights in one bucket, and no Admin, which would be all of them."""
    return {
        "name": "backend",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": [f"{action}:{bucket}" for action in ACTIONS],
    }
