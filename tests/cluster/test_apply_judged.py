"""Policies judge objects on `pulumi up` as the API server returns them, with its defaults: they have to say the same.

The objects go through a server-side apply as a dry run, under the name that Pulumi's provider uses. It cannot prove
what the engine hands on; the engine tier does.
"""

import json
from collections.abc import Callable

import pytest
from environments import ENVIRONMENTS, Environment
from platform_client import Platform
from test_apply_objects import OF_OPERATORS, namespaces_of

from policies.applied import MANAGER, declared
from policies.objects import at
from policies.rule import Manifest, run
from policies.rules import RULES

APPLY = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", f"--field-manager={MANAGER}-test")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rules_say_the_same_of_what_the_server_returns(
    platform: Platform, environment_of: Callable[[str], Environment], name: str
) -> None:
    environment = environment_of(name)
    known = [m for m in environment.manifests if not m["apiVersion"].startswith(OF_OPERATORS)]
    if name != "local":  # its own is there, and most of a StatefulSet cannot change
        here = {_key(m) for m in platform.kubectl.get("statefulsets", "--all-namespaces", doing="list them")}
        known = [m for m in known if _key(m) not in here]
    with namespaces_of(known, platform):
        result = platform.call(*APPLY, "--output=json", "--show-managed-fields", objects=known)
    assert result.ok, result.err
    answer = json.loads(result.out)
    stored = {_key(m): declared(m) for m in (answer["items"] if answer["kind"] == "List" else [answer])}
    assert all(at(m, "metadata", "managedFields") is None for m in stored.values()), "nothing of it is Pulumi's"
    judged = [stored.get(_key(m), m) for m in environment.manifests]
    declared_says = _found([*environment.manifests, *environment.cloud])
    assert sorted(_found([*judged, *environment.cloud]) ^ declared_says) == []


def _key(manifest: Manifest) -> tuple[str, str, str]:
    return manifest["kind"], at(manifest, "metadata", "namespace") or "", manifest["metadata"]["name"]


def _found(manifests: list[Manifest]) -> set[tuple[str, str]]:
    return {(rule.id, str(violation)) for rule, violation in run(RULES, manifests)}
