"""What was pushed through the gateway's door, read back by it as the program that reads tenants."""

import json
import time
from collections.abc import Sequence
from typing import Any

from gateway_door import Door
from servers import request


def ask(door: Door, tenant: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
    """One call of the querier's, of the last hour, by the program that reads tenants."""
    now = int(time.time() * 1000)
    url = f"{door.url}/tenant/{tenant}/querier.v1.QuerierService/{method}"
    body = {"start": str(now - 3_600_000), "end": str(now + 60_000), **body}
    answer = request(url, body, {"Authorization": f"Bearer {door.tokens['downsample']}"})
    assert answer.status == 200, (method, answer)
    found: dict[str, Any] = json.loads(answer.text)
    return found


def totals(door: Door, tenant: str, service: str, kind: str) -> dict[str, int]:
    """What each function took with all that it called, from the flame graph of a service; its root is `total`."""
    selected = {"profile_typeID": kind, "label_selector": f'{{service_name="{service}"}}', "max_nodes": "16384"}
    graph = ask(door, tenant, "SelectMergeStacktraces", selected).get("flamegraph", {})
    names: Sequence[str] = graph.get("names", [])
    found: dict[str, int] = {}
    for level in graph.get("levels", []):
        values = [int(value) for value in level.get("values", [])]
        for total, name in zip(values[1::4], values[3::4], strict=True):
            if total:
                found[names[name]] = found.get(names[name], 0) + total
    return found


def kinds(door: Door, tenant: str, service: str) -> set[str]:
    """The profile types that a service has."""
    asked = {"matchers": [f'{{service_name="{service}"}}'], "label_names": ["__profile_type__"]}
    found = ask(door, tenant, "Series", asked).get("labelsSet", [])
    return {pair["value"] for one in found for pair in one.get("labels", [])}
