"""A type that somebody removes from the cluster, with all its objects, holds up neither the next apply nor `down`."""

import time
from collections.abc import Callable, Iterator

import pytest
from environments import Environment
from platform_client import Platform

from flameplane.local import applyset
from flameplane.local.apply import Apply
from flameplane.local.kubectl import Object

TYPE: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
WIDGET: Object = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "namespace": "flameplane-system"},
}


@pytest.fixture
def widgets(platform: Platform) -> Iterator[None]:
    assert platform.call("apply", "--server-side", "--field-manager=test", objects=[TYPE]).ok
    assert platform.call("wait", "--for=condition=Established", "--timeout=30s", objects=[TYPE]).ok
    yield
    platform.call("delete", "--ignore-not-found", objects=[TYPE])


@pytest.mark.usefixtures("widgets")
def test_objects_of_a_removed_type_are_forgotten(
    platform: Platform, environment_of: Callable[[str], Environment]
) -> None:
    objects = list(environment_of("local").manifests)

    def apply(wanted: list[Object]) -> str:
        made = Apply(platform.kubectl, wanted, yes_prune=False, force=False, say=print)
        made.prepare()
        made.carry_out()
        return str(made.changes)

    assert apply([*objects, WIDGET]).startswith("1 created, 0 changed")
    assert "Widget flameplane-system/w" in platform.members()
    assert platform.call("delete", "--wait", objects=[TYPE]).ok
    time.sleep(1)  # until discovery tells

    assert "Widget flameplane-system/w" not in platform.members()  # what `down` deletes
    # A change in the set that the widget was in, since only such a set is applied.
    (index,) = [i for i, item in enumerate(objects) if item["metadata"]["name"] == "catalog-organisation"]
    metadata = {**objects[index]["metadata"], "annotations": {"example.com/seen": "yes"}}
    changed = [*objects[:index], {**objects[index], "metadata": metadata}, *objects[index + 1 :]]
    assert "1 changed" in apply(changed)
    platform.up()
    kinds = [p["metadata"]["annotations"][applyset.KINDS] for p in applyset.parents(platform.kubectl).values()]
    assert not [kind for kind in kinds if "Widget" in kind]
