"""The daily cost report: what each service and team cost, measured, beside its budget."""

from dataclasses import dataclass

import pulumi

from components import network
from components.pods import Images
from components.scheduled_job import Schedule, ScheduledJob, ScheduledJobArgs
from schemas.catalog import Catalog
from schemas.settings import Settings


@dataclass(frozen=True)
class CostReportArgs:
    """The environment, the services with their budgets, and the image of the job."""

    settings: Settings
    catalog: Catalog
    images: Images


class CostReport(ScheduledJob):
    """Writes ``flameplane_cost_*`` to Prometheus by remote write; the budget alerts (alert_rules.py) stand on them."""

    def __init__(self, name: str, args: CostReportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        url = args.settings.correlation.prometheus_url
        job = ScheduledJobArgs(
            catalog=args.catalog,
            images=args.images,
            arguments=["cost-report", f"--prometheus={url}"],
            schedule=Schedule("20 5 * * *", late_seconds=6 * 3600, deadline_seconds=1800),
            memory="256Mi",
            egress=[network.to_url(args.settings.alerts.prometheus_namespace, url)],
        )
        super().__init__("cost", "CostReport", name, job, opts)
