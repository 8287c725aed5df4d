"""The gateway of the platform on the cluster, called as its own programs call it: real tokens, a real pod's profile."""

import base64
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from platform_client import Platform

from flameplane.local.kubectl import Object
from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, SYSTEM_NAMESPACE

AUDIENCE = "flameplane-gateway"
FUNCTION = "main.(*till).signOrder"  # what the demo service checkout spends its time in
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
QUERIER = "querier.v1.QuerierService"


class Door:
    """The gateway's Service, as a client in the cluster sees it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        spec = platform.get("service", "gateway", f"--namespace={ACCESS_NAMESPACE}")["spec"]
        self.url = f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"
        self.answered: list[str] = []

    def token(self, namespace: str, app_name: str) -> str:
        """A token of the account of a program's pod, bound to the pod, as the kubelet mounts it."""
        return self.token_of(waiting_pod(self.platform, namespace, f"app.kubernetes.io/name={app_name}"))

    def token_of(self, pod: Object) -> str:
        """A token of a pod's account, bound to the pod."""
        metadata = pod["metadata"]
        result = self.platform.call(
            *("create", "token", pod["spec"]["serviceAccountName"], f"--namespace={metadata['namespace']}"),
            *(f"--audience={AUDIENCE}", "--bound-object-kind=Pod"),
            *(f"--bound-object-name={metadata['name']}", f"--bound-object-uid={metadata['uid']}"),
        )
        assert result.ok, result.err
        return result.out.strip()

    def agent(self) -> str:
        """A token of the node agent, which pushes."""
        return self.token(AGENT_NAMESPACE, "flameplane-node")

    @contextmanager
    def drift(self) -> Iterator[str]:
        """A token of the drift job, which reads every tenant: of a pod that its CronJob makes."""
        name, where = f"drift-{uuid.uuid4().hex[:8]}", f"--namespace={SYSTEM_NAMESPACE}"
        made = self.platform.call("create", "job", name, "--from=cronjob/flameplane-drift", where)
        assert made.ok, made.err
        try:
            yield self.token_of(waiting_pod(self.platform, SYSTEM_NAMESPACE, f"job-name={name}"))
        finally:
            self.platform.call("delete", "job", name, where, "--wait=false")

    def post(self, path: str, body: Any, token: str = "") -> tuple[int, Any]:
        """Status and answer of one call in Connect's JSON."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.answered.append(answer.headers["X-Request-Id"])
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            if error.headers["X-Request-Id"]:
                self.answered.append(error.headers["X-Request-Id"])
            return error.code, error.read().decode()

    def push_checkout(self, token: str) -> dict[str, int]:
        """Three seconds of the demo service checkout, stored as the agent would; the window to look in."""
        running = "--field-selector=status.phase=Running"
        selected = ("--all-namespaces", "--selector=app.kubernetes.io/name=checkout", running)
        (pod,) = self.platform.kubectl.get("pods", *selected, doing="find checkout")
        url = f"http://{pod['status']['podIP']}:6060/debug/pprof/profile?seconds=3"
        with urllib.request.urlopen(url, timeout=30) as answer:
            profile = answer.read()
        status, said = self.post("/push.v1.PusherService/Push", push(profile, "payments"), token)
        assert status == 200, said
        now = int(time.time() * 1000)
        return {"start": now - 600_000, "end": now + 60_000}


def push(profile: bytes, team: str) -> dict[str, Any]:
    """A push of one profile of checkout's, as the agent labels it."""
    labels = {"__name__": "process_cpu", "service_name": "checkout", "team": team}
    sample = {"rawProfile": base64.b64encode(profile).decode(), "ID": str(uuid.uuid4())}
    return {"series": [{"labels": [{"name": k, "value": v} for k, v in labels.items()], "samples": [sample]}]}


def stacks(tenant: str, window: dict[str, int]) -> tuple[str, dict[str, Any]]:
    """Path and body of a question for checkout's flame graph."""
    query = {"profileTypeID": CPU, "labelSelector": '{service_name="checkout"}', **window}
    return f"/tenant/{tenant}/{QUERIER}/SelectMergeStacktraces", query


def waiting_pod(platform: Platform, namespace: str, selector: str) -> Object:
    """A pod of those selected, whether or not its image can be run here."""
    for _ in range(30):
        if found := platform.kubectl.get(
            "pods", f"--namespace={namespace}", f"--selector={selector}", doing="find a pod"
        ):
            return found[0]
        time.sleep(1)
    pytest.fail(f"no pod of {selector}")
