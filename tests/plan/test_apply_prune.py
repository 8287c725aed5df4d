"""How much `flameplane local up` removes unasked, and how it knows what it made.

Of objects as the API server or Pulumi's state gives them, with a program in place of kubectl or pulumi. That the real
ones answer so is shown by tests/cluster/test_apply_*.py and tests/engine/test_engine_local.py.
"""

from pathlib import Path

import pytest

from flameplane.local import applyset, prune
from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.objects import Key, key
from flameplane.local.problem import Problem


def config_map(name: str, namespace: str = "a", **data: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def catalog(services: dict[str, int]) -> list[Object]:
    """A team's ConfigMap per entry, with so many services; the organisation's; and forty objects beside them."""
    teams = [
        config_map(
            f"catalog-{team}",
            "flameplane-system",
            **{"team.yaml": "t", **{f"{team}-{i}.yaml": "s" for i in range(count)}},
        )
        for team, count in services.items()
    ]
    organisation = config_map("catalog-organisation", "flameplane-system", **{"organisation.yaml": "o"})
    return [organisation, *teams, *(config_map(f"c{i}") for i in range(40))]


def members(objects: list[Object]) -> dict[Key, Object]:
    return {key(item): item for item in objects}


@pytest.mark.parametrize(("gone", "refused"), [(0, False), (2, False), (3, True), (10, True)])
def test_more_than_a_fifth_is_not_removed_unasked(gone: int, refused: bool) -> None:
    objects = [config_map(f"c{i}") for i in range(10)]
    if refused:
        with pytest.raises(Problem) as raised:
            prune.guard(objects[gone:], members(objects), yes_prune=False)
        assert raised.value.ident == "LOC004"
        assert "ConfigMap a/c0" in raised.value.details
    assert len(prune.guard(objects[gone:], members(objects), yes_prune=True)) == gone


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        # Objects that go are few: services are told by the catalog.
        ({"a": 6, "b": 6}, {"a": 1}, "1 of 43 objects, 11 of 12 services, 1 of 2 teams would be removed"),
        ({"a": 12}, {"a": 9}, "3 of 12 services would be removed"),
        ({"a": 10, "b": 1, "c": 1}, {"a": 10}, "2 of 44 objects, 2 of 12 services, 2 of 3 teams would be removed"),
        # A fifth, one service and one team are everyday work; so is a service that moves to another team.
        ({"a": 10}, {"a": 8}, ""),
        ({"a": 2}, {"a": 1}, ""),
        ({"a": 10, "b": 1}, {"a": 10}, ""),
        ({"a": 3}, {"a": 5, "b": 1}, ""),
    ],
)
def test_services_and_teams_count_too(before: dict[str, int], after: dict[str, int], said: str) -> None:
    there, declared = members(catalog(before)), catalog(after)
    if said:
        with pytest.raises(Problem) as raised:
            prune.guard(declared, there, yes_prune=False)
        assert raised.value.message.startswith(said)
        assert any(line.startswith("services: ") for line in raised.value.details)
    else:
        prune.guard(declared, there, yes_prune=False)
    prune.guard(declared, there, yes_prune=True)


def test_a_service_that_changes_its_team_is_not_lost() -> None:
    def moved(team: str) -> Object:
        return config_map(f"catalog-{team}", "flameplane-system", **{f"s{i}.yaml": "s" for i in range(5)})

    prune.guard([*catalog({}), moved("new")], members([*catalog({}), moved("old")]), yes_prune=False)


# -- kinds that are gone -------------------------------------------------------------------------------------------

RESOURCES = """\
configmaps  cm  v1  true  ConfigMap
deployments  deploy  apps/v1  true  Deployment
podmonitors  pmon  monitoring.coreos.com/v1  true  PodMonitor
"""
# As kubectl 1.36: one kind that the API server does not have fails the whole call.
KUBECTL = """\
#!/bin/sh
echo "$@" >> {folder}/calls
case "$*" in
  *api-resources*) cat {folder}/resources; exit {code} ;;
  *prometheusrule*) echo 'error: the server doesn'"'"'t have a resource type "prometheusrule"' >&2; exit 1 ;;
  *" apply "*) cat >> {folder}/applied ;;
esac
"""


def fake_kubectl(folder: Path, code: int = 0) -> Kubectl:
    (folder / "resources").write_text(RESOURCES)
    program = folder / "kubectl"
    program.write_text(KUBECTL.format(folder=folder, code=code))
    program.chmod(0o755)
    return Kubectl(program, folder / "kubeconfig", "here", folder / "cache")


def parent(*kinds: str) -> dict[str, Object]:
    return {"namespace-a": applyset._parent("namespace-a", set(kinds), {"a"})}


RULE, MONITOR = "PrometheusRule.monitoring.coreos.com", "PodMonitor.monitoring.coreos.com"


def test_a_type_that_was_removed_holds_up_neither_up_nor_down(tmp_path: Path) -> None:
    kubectl = fake_kubectl(tmp_path)
    current = parent("ConfigMap", "Deployment.apps", RULE, MONITOR)
    assert applyset.members(kubectl, current) == {}
    listed = (tmp_path / "calls").read_text().splitlines()[-1]
    assert "configmap,deployment.apps,podmonitor.monitoring.coreos.com " in listed
    applyset.cover(kubectl, current, {key(config_map("c"))})
    applied = (tmp_path / "applied").read_text()
    assert RULE not in applied
    assert f"ConfigMap,Deployment.apps,{MONITOR}" in applied


def test_what_cannot_be_told_does_not_count_as_gone(tmp_path: Path) -> None:
    with pytest.raises(Problem) as raised:
        applyset.members(fake_kubectl(tmp_path, code=1), parent("ConfigMap", RULE))
    assert "prometheusrule" in raised.value.details[0]


def test_kinds_that_every_server_has_cost_no_call(tmp_path: Path) -> None:
    applyset.members(fake_kubectl(tmp_path), parent("ConfigMap", "Deployment.apps", "Role.rbac.authorization.k8s.io"))
    assert "api-resources" not in (tmp_path / "calls").read_text()
