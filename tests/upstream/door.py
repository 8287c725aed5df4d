"""The gateway's real door, served by its own tests (dataplane/internal/door/serve_test.go) before a backend.

Tokens are made and known there: one of the node agent, one of a program that reads tenants. Requests that came are
written down as they were.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from go_tests import go
from servers import request, running

FOLDER, BACKEND = "FLAMEPLANE_DOOR_SERVE", "FLAMEPLANE_DOOR_BACKEND"


@dataclass(frozen=True)
class Door:
    """A door that is open."""

    url: str
    agent: str  # token
    reader: str
    folder: Path

    def requests(self) -> list[dict[str, Any]]:
        """What came so far."""
        return [json.loads(line) for line in (self.folder / "requests.jsonl").read_text().splitlines()]

    def ask(self, tenant: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """One call of the querier's, of the last hour, by the program that reads tenants."""
        now = int(time.time() * 1000)
        url = f"{self.url}/tenant/{tenant}/querier.v1.QuerierService/{method}"
        body = {"start": str(now - 3_600_000), "end": str(now + 60_000), **body}
        answer = request(url, body, {"Authorization": f"Bearer {self.reader}"})
        assert answer.status == 200, (method, answer)
        found: dict[str, Any] = json.loads(answer.text)
        return found

    def totals(self, tenant: str, service: str, kind: str) -> dict[str, int]:
        """What each function took with all that it called, from the flame graph of a service; its root is `total`."""
        selected = {"profile_typeID": kind, "label_selector": f'{{service_name="{service}"}}', "max_nodes": "16384"}
        graph = self.ask(tenant, "SelectMergeStacktraces", selected).get("flamegraph", {})
        names: Sequence[str] = graph.get("names", [])
        found: dict[str, int] = {}
        for level in graph.get("levels", []):
            values = [int(value) for value in level.get("values", [])]
            for total, name in zip(values[1::4], values[3::4], strict=True):
                if total:
                    found[names[name]] = found.get(names[name], 0) + total
        return found


@contextmanager
def opened(folder: Path, backend: str | None) -> Iterator[Door]:
    """The door before the backend at that address, or before a devstore of its own."""
    program = folder / "door.test"
    built = go("test", "-c", "-o", program, "./internal/door")
    assert built.returncode == 0, built.stderr
    says = folder / "door.json"
    environment = {FOLDER: str(folder)} | ({BACKEND: backend} if backend else {})
    command = [program, "-test.run", "^TestServe$", "-test.timeout", "10m"]
    with running(command, folder, says.exists, **environment):
        yield Door(**json.loads(says.read_text()), folder=folder)
