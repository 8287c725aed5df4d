"""All rules of the pack, by id. A new topic is a module with ``RULES`` and one line here."""

from typing import Final

from policies.rule import Rule
from policies.rules import (
    access,
    agent,
    backend_configuration,
    cloud_buckets,
    cloud_budget,
    cloud_encryption,
    cloud_lifecycle,
    cloud_perimeter,
    cloud_roles,
    declarations,
    durability,
    exposure,
    gateway,
    grants,
    guards,
    images,
    kinds,
    limits,
    metastore,
    network,
    outside,
    profilers,
    retention,
    secrets,
    tenants,
    transport,
    workloads,
)

RULES: Final[tuple[Rule, ...]] = tuple(
    sorted(
        (
            *agent.RULES,
            *transport.RULES,
            *secrets.RULES,
            *profilers.RULES,
            *outside.RULES,
            *backend_configuration.RULES,
            *gateway.RULES,
            *limits.RULES,
            *kinds.RULES,
            *guards.RULES,
            *grants.RULES,
            *durability.RULES,
            *access.RULES,
            *workloads.RULES,
            *retention.RULES,
            *images.RULES,
            *network.RULES,
            *exposure.RULES,
            *declarations.RULES,
            *tenants.RULES,
            *metastore.RULES,
            *cloud_buckets.RULES,
            *cloud_perimeter.RULES,
            *cloud_encryption.RULES,
            *cloud_lifecycle.RULES,
            *cloud_roles.RULES,
            *cloud_budget.RULES,
        ),
        key=lambda rule: rule.id,
    )
)
