"""Whether as much may be removed as the program no longer declares.

Objects alone do not tell: most are the platform's own, so twelve services can shrink to one and take few objects along.
Services and teams are therefore counted too, from the catalog that the program puts on the cluster.
"""

from collections.abc import Iterable, Mapping, Sequence

from flameplane.local.kubectl import Object
from flameplane.local.objects import Key, key, listing
from flameplane.local.problem import Problem
from schemas.allowed import SYSTEM_NAMESPACE

LIMIT = 5  # more than one in five removed at once needs --yes-prune
CATALOG, ORGANISATION, TEAM = "catalog-", "catalog-organisation", "team.yaml"  # see components/foundation.py


def guard(desired: Sequence[Object], members: Mapping[Key, Object], yes_prune: bool) -> tuple[Key, ...]:
    """The members that the program no longer declares.

    Raises ``Problem`` when they are more than a fifth of the objects there, or when more than a fifth of the services
    or of the teams go with them. One service or team is never too much: withdrawing one is everyday work.
    """
    wanted = {key(item) for item in desired}
    removed = tuple(k for k in members if k not in wanted)
    there, declared = catalog(members.values()), catalog(desired)
    lost = [sorted(before - after) for before, after in zip(there, declared, strict=True)]
    amounts = [(len(gone), len(before)) for gone, before in zip(lost, there, strict=True)]
    too_much = len(removed) * LIMIT > len(members) or any(gone > 1 and gone * LIMIT > all_ for gone, all_ in amounts)
    if not too_much or yes_prune:
        return removed
    counted = zip(("objects", "services", "teams"), [(len(removed), len(members)), *amounts], strict=True)
    raise Problem(
        "LOC004",
        f"{', '.join(f'{gone} of {all_} {what}' for what, (gone, all_) in counted if gone)} would be removed, "
        "more than a fifth:",
        "look at what is missing in services/; if it is meant, run it again with --yes-prune",
        [f"{what}: {', '.join(gone)}" for what, gone in zip(("services", "teams"), lost, strict=True) if gone]
        + listing(removed),
    )


def catalog(objects: Iterable[Object]) -> tuple[set[str], set[str]]:
    """Names of the services and of the teams that the catalog among the objects holds."""
    services: set[str] = set()
    teams: set[str] = set()
    for item in objects:
        k = key(item)
        if (k.kind, k.namespace) != ("ConfigMap", SYSTEM_NAMESPACE) or not k.name.startswith(CATALOG):
            continue
        if k.name != ORGANISATION:
            teams.add(k.name.removeprefix(CATALOG))
            services |= {name.removesuffix(".yaml") for name in item.get("data") or {} if name != TEAM}
    return services, teams
