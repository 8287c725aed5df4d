"""A stand-in for the API server's Leases (coordination.k8s.io/v1), as far as `flameplane downsample` goes.

What it stands for: making one that exists and changing one that changed meanwhile are refused (409), times have six
digits of a second, and RBAC as the job's Role has it. That a real API server does the same is not shown here.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flameplane.downsample.lock import Api

NAME = "flameplane-downsample"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/flameplane-system/leases"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass
class Leases:
    """The one Lease that there may be. ``before`` is called with each verb and may change it."""

    api: Api
    lease: dict[str, Any] = field(default_factory=dict)
    verbs: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    refusal: int = 0  # a status for everything

    @property
    def holder(self) -> str:
        spec: dict[str, Any] = self.lease.get("spec", {})
        return str(spec.get("holderIdentity", ""))

    def store(self, lease: dict[str, Any]) -> dict[str, Any]:
        for name in ("acquireTime", "renewTime"):
            assert TIME.fullmatch(lease["spec"][name]), lease
        assert lease["spec"]["leaseDurationSeconds"] > 0
        version = int(self.lease.get("metadata", {}).get("resourceVersion", "0")) + 1
        self.lease = {**lease, "metadata": {**lease["metadata"], "resourceVersion": str(version)}}
        return self.lease

    def answer(self, verb: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.verbs.append(verb)
        self.before(verb)
        if self.refusal:
            return self.refusal, {"message": "leases is forbidden"}
        assert path == (LEASES if verb == "POST" else f"{LEASES}/{NAME}")
        if verb == "GET":
            return (200, self.lease) if self.lease else (404, {})
        known = self.lease.get("metadata", {}).get("resourceVersion")
        if known != body["metadata"].get("resourceVersion"):
            return 409, {"message": "the object has been modified"}
        return 201 if verb == "POST" else 200, self.store(body)


@contextmanager
def leases(account: Path) -> Iterator[Leases]:
    """Served, to whoever has the token in the folder of the service account."""
    account.mkdir()
    (account / "token").write_text("of-the-pod\n")
    (account / "namespace").write_text("flameplane-system")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
            with lock:
                allowed = self.headers["Authorization"] == "Bearer of-the-pod"
                status, said = found.answer(self.command, self.path, body) if allowed else (401, {})
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Leases(Api(f"http://127.0.0.1:{server.server_port}", account))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
