"""All rules of the pack, by id. A new topic is a module with ``RULES`` and one line here."""

from typing import Final

from policies.rule import Rule
from policies.rules import agent, declarations, exposure, images, metastore, network, retention, tenants, workloads

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            *agent.RULES,
            *workloads.RULES,
            *retention.RULES,
            *images.RULES,
            *network.RULES,
            *exposure.RULES,
            *declarations.RULES,
            *tenants.RULES,
            *metastore.RULES,
        ),
        key=lambda rule: rule.id,
    )
)
