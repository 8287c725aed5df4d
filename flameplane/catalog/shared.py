"""What no two environments may share. Settings of one file cannot know it, so the files are held against each other."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from flameplane.catalog.report import Report
from flameplane.catalog.tree import Node, Path
from schemas.settings.environments import ENVIRONMENTS, environment_named


class _Own(NamedTuple):
    """Values that together are one environment's own; ``what`` names them, ``why`` ends the sentence."""

    what: str
    paths: tuple[Path, ...]
    why: str
    prod_only: bool = False  # shared among others it would do
    named: bool = False  # the environment's name in it is checked already, in the file that has the wrong one
    roles: bool = False  # an account, in which the environment's own roles lie


_OWN: Final = (
    _Own(
        "cluster",
        (("cluster", "context"), ("cluster", "kubeconfig")),
        "one would replace the objects of the other",
        named=True,
    ),
    _Own(
        "EKS cluster",
        (("cloud", "eksCluster"), ("cloud", "accountId"), ("cloud", "region")),
        "one would replace the objects of the other",
        named=True,
    ),
    _Own(
        "bucket",
        (("backend", "objectStorage", "bucket"), ("backend", "objectStorage", "endpoint")),
        "each would read, merge and delete the other's blocks",
        named=True,
    ),
    _Own("audit bucket", (("cloud", "buckets", "audit"),), "each has a lock and readers of its own", named=True),
    _Own("state bucket", (("cloud", "buckets", "state"),), "who may change one could change the other", named=True),
    _Own("issuer (and audience)", (("access", "issuer"), ("access", "audience")), "a token of one opens the other"),
    _Own(
        "account",
        (("cloud", "accountId"),),
        "whoever runs one would hold the keys of the other",
        prod_only=True,
        roles=True,
    ),
    _Own("VPC", (("cloud", "vpc", "id"),), "pods of one would pass for pods of the other", prod_only=True),
    _Own(
        "database of Grafana",
        (("correlation", "grafana", "database", "host"), ("correlation", "grafana", "database", "name")),
        "sessions and dashboards of one would be those of the other",
    ),
    _Own("Grafana's URL", (("correlation", "grafana", "url"),), "people would not know which one they see"),
    _Own(
        "payer role",
        (("cloud", "budget", "payerRoleArn"),),
        "cost-allocation tags are activated once for the whole organisation",
    ),
)


def apart(environments: Mapping[str, Node], report: Report, only: str | None = None) -> None:
    """Report what two environments share, at the one whose it is not, or that matters less; with ``only``, what is
    shared with that one."""
    for first, second in _pairs(environments):
        if only not in (None, first, second):
            continue
        _readable(environments, report, (first, second))
        for own in _OWN:
            mine, theirs = (_values(environments[name], own.paths) for name in (first, second))
            if not mine or mine != theirs or (own.prod_only and "prod" not in (first, second)):
                continue
            named = environment_named(str(mine[0]))
            if own.named and named:
                continue
            owners = [name for name in (first, second) if _owns(environments[name], name, own, named)]
            if own.roles and len(owners) < 2:
                continue  # the other one's roles are of another account, which is told there
            at, other = (second, first) if owners == [first] else (first, second)
            node = environments[at].nearest(own.paths[0])
            place = environments[other].nearest(own.paths[0]).where
            message = f"{mine[0]} is also the {own.what} of {other} ({place}): {own.why}"
            report.add("078", message, node.where, related=(place,))


def _readable(environments: Mapping[str, Node], report: Report, names: tuple[str, str]) -> None:
    """Report buckets of one environment that the other's endpoint lets through as somebody else's."""
    for at, other in (names, names[::-1]):
        listed = environments[at].find(("cloud", "vpc", "s3Endpoint", "readableBuckets"))
        theirs = [own.paths[0] for own in _OWN if "bucket" in own.what]
        for node in listed.value if listed and isinstance(listed.value, list) else ():
            places = [
                there for path in theirs if (there := environments[other].find(path)) and there.value == node.value
            ]
            if places and "-flameplane-" not in str(node.value):  # those are told by their names
                message = f"{node.value} is a bucket of {other} ({places[0].where})"
                report.add("086", message, node.where, related=(places[0].where,))


def _owns(tree: Node, name: str, own: _Own, named: list[str]) -> bool:
    """Whether the value is the environment's by right, as far as it shows: by the name in it, or by the roles."""
    if own.roles:
        arns = tree.find(("cloud", "adminRoleArns"))
        found = arns.data() if arns and isinstance(arns.value, list) else []
        return all(str(_values(tree, own.paths)[0]) in str(arn) for arn in found)
    return not named or name in named


def _pairs(environments: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    names = sorted(environments, key=lambda name: (ENVIRONMENTS.index(name) if name in ENVIRONMENTS else -1, name))
    return ((first, second) for i, first in enumerate(names) for second in names[i + 1 :])


def _values(tree: Node, paths: tuple[Path, ...]) -> list[object]:
    """The values at ``paths``, or nothing if one is missing."""
    nodes = [node for path in paths if (node := tree.find(path)) and not node.lost]
    return [node.data() for node in nodes] if len(nodes) == len(paths) else []
