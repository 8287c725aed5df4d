"""Cloud resources as they were reviewed: which there are, and what their inputs are. Which inputs may be: FP016."""

from collections.abc import Iterator, Sequence
from typing import Final

from policies.cloud import ALIAS, BUCKET, KEY, POD_IDENTITY, ROLE, ROLE_POLICY, TOPIC, TOPIC_POLICY, breaks, clouds
from policies.objects import at
from policies.rule import Manifest, Rule, Violation
from policies.rules.cloud_table import KINDS, Difference, Pair, inputs, left, pairs

# Where the resource itself is missing, a finding points at the one that it belongs to: by kind, or the bucket.
_OWNER: Final = {ROLE_POLICY: ROLE, POD_IDENTITY: ROLE, ALIAS: KEY, TOPIC_POLICY: TOPIC}


def _resources(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for pair in pairs(cloud, manifests):
            for difference in left(pair, _differences(pair), manifests):
                yield _violation(pair, difference, manifests)


def _differences(pair: Pair) -> Iterator[Difference]:
    if pair.declared is None:
        yield Difference("is missing", None)
    elif pair.reviewed is None:
        yield Difference("is none of the resources that were reviewed: nothing says what it may be", pair.declared)
    else:
        yield from inputs(pair)


def _violation(pair: Pair, difference: Difference, manifests: Sequence[Manifest]) -> Violation:
    if pair.declared is not None:
        return breaks(pair.declared, difference.how)
    kind = pair.kind.rpartition(":")[2]
    owner = _OWNER.get(pair.kind, BUCKET)
    owners = [m for m in manifests if m.get("kind") == owner and at(m, "metadata", "name") == pair.name]
    return Violation(f"{kind} {pair.name} {difference.how}", owners[0] if owners else None)


RULES: Final = (
    Rule(
        id="FP047",
        name="reviewed-cloud-resources",
        why="What nobody thought of does what it says all the same: a second subscriber, another bucket's key, a "
        "lifecycle a little shorter.",
        remediation="Declare the resources of schemas/reviewed/cloud_resources.py, with the values that it lists; what "
        "has to be otherwise is changed there as well, and reviewed.",
        kinds=KINDS,
        check=_resources,
        scope="stack",
        waivable=False,
    ),
)
