"""The few questions that starting asks the API server, over TLS with the cluster's own authority."""

import http.client
import json
import ssl
from datetime import datetime
from pathlib import Path

from local.cluster.layout import API_PORT, NAME, NODE_ADDRESS

TIMEOUT = 3.0  # seconds for one answer


class Api:
    """Reads as the administrator. Every failure to answer is the same to callers: not there yet."""

    def __init__(self, pki: Path) -> None:
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def ready(self) -> bool:
        """Whether the API server says it is."""
        return self._get("/readyz") is not None

    def node_ready(self, since: datetime) -> bool:
        """Whether the kubelet reported Ready after `since`; the node of a restarted cluster says so from before."""
        body = self._get(f"/api/v1/nodes/{NAME}")
        conditions = json.loads(body)["status"].get("conditions", ()) if body else ()
        return any(
            condition["type"] == "Ready"
            and condition["status"] == "True"
            and datetime.fromisoformat(condition["lastHeartbeatTime"]) >= since.replace(microsecond=0)
            for condition in conditions
        )

    def _get(self, path: str) -> bytes | None:
        connection = http.client.HTTPSConnection(NODE_ADDRESS, API_PORT, timeout=TIMEOUT, context=self.context)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return body if answer.status == http.client.OK else None
