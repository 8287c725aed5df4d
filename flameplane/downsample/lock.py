"""One run at a time: while it merges, a run holds a Lease of the cluster (coordination.k8s.io/v1).

The long tier is asked right before each push, so that nothing is merged twice one after the other. Two runs that ask at
the same moment would both push, and what is pushed cannot be taken back.

A Lease is held for as long as a run may take and not renewed: the Job's deadline has ended whoever took it before it
runs out, so that a holder that died keeps the others out no longer than that.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import urllib3

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SECONDS: Final = 3000  # `active_deadline_seconds` of the job (components/downsample.py)
_TIMEOUT: Final = 10.0
_TRIES: Final = 3
_FOUND, _MADE, _NONE, _CHANGED = 200, 201, 404, 409  # what the API server answers


class NotTaken(Exception):
    """Another run holds the lock, or it cannot be asked for; the message says which."""


@dataclass(frozen=True)
class Api:
    """The API server, as a pod reaches it: with the token of its service account, in its own namespace."""

    url: str
    account: Path = SERVICE_ACCOUNT

    def call(self, method: str, name: str = "", body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """One call about Leases: status and object. Only a question is sent again by itself."""
        try:
            token, namespace = (
                self.account.joinpath(file).read_text("utf-8").strip() for file in ("token", "namespace")
            )
            path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}".rstrip("/")
            with urllib3.PoolManager(timeout=_TIMEOUT, ca_certs=str(self.account / "ca.crt")) as pool:
                answer = pool.request(
                    method,
                    self.url + path,
                    body=None if body is None else json.dumps(body).encode(),
                    headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                    retries=urllib3.Retry(total=3, redirect=0, allowed_methods=["GET"], backoff_factor=0.5),
                )
            return answer.status, json.loads(answer.data)
        except OSError as error:
            words = f"cannot read {error.filename}: {error.strerror}; outside of the cluster there is no lock"
            raise NotTaken(f"{words}: leave out --lease, and see that no other run merges") from error
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise NotTaken(f"the API server cannot be asked for the lock: {' '.join(str(error).split())}") from error


def in_cluster() -> Api:
    """What every container is told."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return Api(f"https://{f'[{host}]' if ':' in host else host}:{port}")


@contextmanager
def held(name: str, api: Api) -> Iterator[float]:
    """Hold the Lease, and give it back; yields until when it is ours, by ``time.monotonic``. Raises ``NotTaken``."""
    ends = time.monotonic() + SECONDS
    mine = _take(name, api, f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}")
    try:
        yield ends
    finally:
        with suppress(NotTaken):  # then it runs out
            # If somebody else has it by now, the version is another one, and it stays theirs.
            api.call("PUT", name, {**mine, "spec": _spec("", 1)})


def _take(name: str, api: Api, who: str) -> dict[str, Any]:
    for _ in range(_TRIES):
        status, lease = api.call("GET", name)
        if status == _NONE:
            new = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}}
            status, lease = api.call("POST", body={**new, "spec": _spec(who, SECONDS)})
        elif status == _FOUND:
            _refuse_if_held(name, lease.get("spec", {}))
            status, lease = api.call("PUT", name, {**lease, "spec": _spec(who, SECONDS)})
        if status in (_FOUND, _MADE):
            return lease
        if status != _CHANGED:  # or somebody was faster: look again
            raise NotTaken(f"the API server does not give the lock: {status} {lease.get('message', '')}".rstrip())
    raise NotTaken(f"the lock {name} changes faster than it can be taken; try again")


def _refuse_if_held(name: str, spec: Mapping[str, Any]) -> None:
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or not renewed:
        return
    ends = datetime.fromisoformat(renewed) + timedelta(seconds=spec.get("leaseDurationSeconds", 0))
    if ends > datetime.now(UTC):
        words = f"another run merges now: {holder} has the lock {name}, until {ends:%Y-%m-%dT%H:%M:%SZ} at most"
        raise NotTaken(f"{words}; nothing was merged by this one")


def _spec(holder: str, seconds: int) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # MicroTime takes six digits and no other number
    return {"holderIdentity": holder, "leaseDurationSeconds": seconds, "acquireTime": now, "renewTime": now}
