"""Calls of Pyroscope's API at the gateway (Connect protocol, protobuf bodies; connectrpc.com/docs/protocol, "Unary").

A question may be asked again; a push may not, unless it was refused before it reached the backend: Pyroscope stores
what it gets twice, twice.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import urllib3
from google.protobuf.message import DecodeError, Message

QUERIER: Final = "querier.v1.QuerierService"
PUSHER: Final = "push.v1.PusherService"
# Longer than the gateway waits for the backend (two minutes): what is given up here has been given up there.
SECONDS: Final = 150.0
_BUSY: Final = 429  # more than the tenant's share; nothing was forwarded
_ASK_AGAIN: Final = urllib3.Retry(
    total=6,
    connect=3,
    status_forcelist=[_BUSY, 502, 503, 504],
    allowed_methods=["POST"],
    backoff_factor=0.5,
    raise_on_status=False,
    redirect=False,
)
_PUSH_AGAIN: Final = urllib3.Retry(
    total=None,
    connect=2,  # nobody was there
    read=0,
    other=0,
    status=6,
    status_forcelist=[_BUSY],
    allowed_methods=["POST"],
    backoff_factor=0.5,
    raise_on_status=False,
    redirect=False,
)

_Answer = TypeVar("_Answer", bound=Message)


class BackendError(Exception):
    """A call that failed. ``code`` is Connect's: not_found, unauthenticated, resource_exhausted, unavailable ..."""

    def __init__(self, procedure: str, code: str, reason: str) -> None:
        super().__init__(f"{procedure.rpartition('/')[2]}: {reason} ({code})")
        self.code = code


class Gateway:
    """The gateway at ``url``; ``token`` is a file, read at every call since the kubelet renews it."""

    def __init__(self, url: str, token: Path | None, parallel: int = 1) -> None:
        self.url, self.token = url.rstrip("/"), token
        # No proxy of the environment: it would see every profile, and the gateway is in the cluster.
        self.pool = urllib3.PoolManager(maxsize=parallel, block=True, timeout=urllib3.Timeout(SECONDS, connect=10.0))

    def ask(self, tenant: str, method: str, question: Message, answer: type[_Answer]) -> _Answer:
        """One query of a tenant; asked again where the gateway or the backend was busy or away."""
        return self._call(self.place(tenant, f"{QUERIER}/{method}"), question, answer, _ASK_AGAIN)

    def push(self, request: Message, answer: type[_Answer]) -> _Answer:
        """Store profiles. The tenant is not ours to name: the gateway computes it from the label ``team``."""
        return self._call(f"/{PUSHER}/Push", request, answer, _PUSH_AGAIN)

    def place(self, tenant: str, procedure: str) -> str:
        """The path of a procedure, for one tenant."""
        return f"/tenant/{tenant}/{procedure}"

    def headers(self) -> dict[str, str]:
        """Headers of a call."""
        found = {"Content-Type": "application/proto", "Connect-Protocol-Version": "1", "Accept-Encoding": "gzip"}
        if self.token:
            found["Authorization"] = f"Bearer {self._read(self.token)}"
        return found

    def _read(self, token: Path) -> str:
        try:
            return token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BackendError("token", "unauthenticated", f"cannot read {token}: {error.strerror}") from error

    def _call(self, path: str, question: Message, answer: type[_Answer], again: urllib3.Retry) -> _Answer:
        try:
            got = self.pool.request(
                "POST", self.url + path, body=question.SerializeToString(), headers=self.headers(), retries=again
            )
        except urllib3.exceptions.HTTPError as error:
            raise BackendError(path, "unavailable", f"{self.url} cannot be reached: {_why(error)}") from error
        if got.status != 200:
            raise BackendError(path, *_refusal(got.status, got.data))
        try:
            return answer.FromString(got.data)
        except DecodeError as error:
            kind = got.headers.get("Content-Type", "no type")
            raise BackendError(path, "internal", f"{self.url} answers something else ({kind})") from error


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split())


def _refusal(status: int, body: bytes) -> tuple[str, str]:
    """Code and words of an answer that is none; not everything between here and there speaks Connect."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if isinstance(said, Mapping) and isinstance(said.get("code"), str):
        return said["code"], str(said.get("message") or "no reason given")
    return f"HTTP {status}", " ".join(body[:200].decode(errors="replace").split()) or "no reason given"
