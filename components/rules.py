"""Prometheus rules as data: budgets from the catalog here, the platform's own health in the modules beside it.

Metrics that begin with ``flameplane_`` are our own programs', listed in docs/components.md. Every alert has a page in
docs/runbooks.
"""

from collections.abc import Iterator
from typing import Any, Final

from components.rule_forms import RUNBOOKS, Rule, alert, record, with_runbook
from components.rules_backend import backend
from components.rules_collection import SERVICE_OF_GROUP, collection
from components.rules_platform import access, jobs, workloads
from schemas.catalog import Catalog

MONTH: Final = 30 * 86400  # seconds
STORED_PER_RAW: Final = (
    0.05  # stored after compaction / received, Go CPU and heap, measured; the cost report calibrates it
)
SHARES: Final = ((0.8, "warning"), (1.0, "critical"))  # of a budget: alert, and what the brakes act on


def groups(catalog: Catalog, runbooks: str = RUNBOOKS) -> list[dict[str, Any]]:
    """All rule groups. ``runbooks``: where the pages are, a URL or the path in the project."""
    found: list[dict[str, Any]] = [
        {"name": "flameplane-budgets", "interval": "5m", "rules": list(_budgets(catalog))},
        {"name": "flameplane-cost", "interval": "1m", "rules": [*_usage(), *_over_budget(catalog)]},
        {"name": "flameplane-collection", "rules": list(collection(catalog))},
        {"name": "flameplane-backend", "rules": list(backend())},
        {"name": "flameplane-jobs", "rules": list(jobs())},
        {"name": "flameplane-access", "rules": list(access())},
        {"name": "flameplane-workloads", "rules": list(workloads())},
    ]
    return [{**group, "rules": [with_runbook(rule, runbooks) for rule in group["rules"]]} for group in found]


def _budgets(catalog: Catalog) -> Iterator[Rule]:
    """The declared ceilings as series, so that an alert can divide by them."""
    for service in catalog.services:
        labels, budget = {"service": service.name, "team": service.team}, service.spec.budget
        yield record("flameplane:service_budget_usd", f"vector({budget.monthly_usd:g})", labels)
        yield record("flameplane:service_budget_stored_gb", f"vector({budget.stored_gb:g})", labels)
    for team in catalog.teams:
        yield record("flameplane:team_budget_usd", f"vector({team.spec.monthly_usd:g})", {"team": team.name})


def _usage() -> Iterator[Rule]:
    yield record(
        "flameplane:service_raw_bytes:rate6h",
        "sum by (service) (label_replace(rate(pyroscope_usage_group_received_decompressed_total[6h]), "
        f"{SERVICE_OF_GROUP}))",
    )
    yield record(
        "flameplane:stored_per_raw:ratio", f"max(flameplane_cost_stored_per_raw_ratio) or vector({STORED_PER_RAW})"
    )
    yield record(
        "flameplane:service_stored_gb:month",
        f"flameplane:service_raw_bytes:rate6h * {MONTH} / 1e9 * scalar(flameplane:stored_per_raw:ratio)",
    )


def _over_budget(catalog: Catalog) -> Iterator[Rule]:
    platform = f"{catalog.organisation.spec.monthly_usd:g}"
    used = {
        "FlameplaneServiceStorage": (
            "flameplane:service_stored_gb:month / on (service) group_right () flameplane:service_budget_stored_gb",
            "{{ $labels.service }} is on course for {{ $value | humanizePercentage }} of its stored GB a month",
        ),
        "FlameplaneServiceCost": (
            "max by (service) (flameplane_cost_usd_month) / on (service) group_right () flameplane:service_budget_usd",
            "{{ $labels.service }} is at {{ $value | humanizePercentage }} of its budget of the month",
        ),
        "FlameplaneTeamCost": (
            "sum by (team) (flameplane_cost_usd_month) / on (team) group_right () flameplane:team_budget_usd",
            "team {{ $labels.team }} is at {{ $value | humanizePercentage }} of its budget of the month",
        ),
        "FlameplanePlatformCost": (
            f"sum(flameplane_cost_usd_month) / {platform}",
            "profiling is at {{ $value | humanizePercentage }} of the organisation's budget of the month",
        ),
    }
    for name, (expression, summary) in used.items():
        for share, severity in SHARES:
            yield alert(f"{name}{share * 100:.0f}", f"{expression} > {share}", "1h", (severity, "cost"), summary)
