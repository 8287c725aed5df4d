"""One mistake is one finding, also in an environment that already has findings.

Images of prod are open until they are locked, so every container has a finding (FP005). These changes of prod as it is
today each have to be found all the same, by one rule alone.
"""

from functools import cache
from typing import Any

import pytest
from changes import Manifests, changed
from corpus import ROOT

from flameplane.plan import record
from policies import resources
from policies.rule import run
from policies.rules import RULES

GATEWAY = "Deployment/flameplane-access/gateway"
CONTAINER = "spec.template.spec.containers[gateway]"
PYROSCOPE = "spec.template.spec.containers[pyroscope]"
CHANGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "flag": ("prod", {"in": GATEWAY, "append": {f"{CONTAINER}.args": "--insecure"}}, "FP050"),
    "flag left out": ("prod", {"in": GATEWAY, "drop": [f"{CONTAINER}.args[4]"]}, "FP050"),
    "variable": ("prod", {"in": GATEWAY, "append": {f"{CONTAINER}.env": {"name": "X", "value": "1"}}}, "FP050"),
    "mount": (
        "prod",
        {"in": GATEWAY, "append": {f"{CONTAINER}.volumeMounts": {"name": "audit", "mountPath": "/x"}}},
        "FP050",
    ),
    "probe": ("prod", {"in": GATEWAY, "set": {f"{CONTAINER}.readinessProbe.httpGet.path": "/healthz"}}, "FP051"),
    "memory": ("prod", {"in": GATEWAY, "set": {f"{CONTAINER}.resources.limits.memory": "1Gi"}}, "FP051"),
    "image": ("prod", {"in": GATEWAY, "set": {f"{CONTAINER}.image": "IMAGE"}}, "FP050"),
    "container": (
        "prod",
        {"in": "DaemonSet/flameplane-node/flameplane-node", "drop": ["spec.template.spec.containers[receiver]"]},
        "FP050",
    ),
    "one replica": ("prod", {"in": GATEWAY, "set": {"spec.replicas": 1}}, "FP051"),
    "no gateway": ("prod", {"in": GATEWAY, "remove": True}, "FP051"),
    "no volume": ("staging", {"in": "PersistentVolumeClaim/flameplane-access/grafana", "remove": True}, "FP051"),
}


@cache
def as_it_is(stack: str) -> Manifests:
    recording = record(ROOT, stack)
    found = (resources.manifest(r.type, r.name, r.inputs, protect=r.protect) for r in recording.resources if r.custom)
    return [dict(m) for m in (*found, resources.settings(stack, recording.config)) if m]


def findings(manifests: Manifests) -> set[tuple[str, str]]:
    return {(rule.id, str(violation)) for rule, violation in run(RULES, manifests) if rule.severity == "error"}


@pytest.mark.parametrize("what", CHANGES)
def test_open_images_hide_nothing(what: str) -> None:
    stack, change, rule = CHANGES[what]
    before = as_it_is(stack)
    if what == "image":  # another of our own, which is as open
        (gateway,) = [m for m in before if m["kind"] == "Deployment" and m["metadata"]["name"] == "gateway"]
        image = gateway["spec"]["template"]["spec"]["containers"][0]["image"].replace("/gateway:", "/jobs:")
        change = {**change, "set": {f"{CONTAINER}.image": image}}
    assert any(found == "FP005" for found, _ in findings(before))
    new = findings(changed(before, [change])) - findings(before)
    assert {found for found, _ in new if found != "FP005"} == {rule}, new


def test_what_another_rule_says_hides_no_second_mistake() -> None:
    """Of the same list, object and rule: each is tried by itself."""
    changes = [
        {"in": "StatefulSet/flameplane-backend/pyroscope-metastore", "append": {f"{PYROSCOPE}.args": flag}}
        for flag in ("-retention-period=0", "-unheard-of=1")
    ]
    new = findings(changed(as_it_is("prod"), changes)) - findings(as_it_is("prod"))
    assert {rule for rule, _ in new} == {"FP004", "FP050"}
    assert not [message for rule, message in new if rule == "FP050" and "retention" in message]
