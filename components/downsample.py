"""Hourly profiles for 90 days: each closed hour of a team's tenant is merged into its long-term tenant."""

from dataclasses import dataclass

import pulumi

from components import network
from components.pods import Images
from components.pyroscope_config import LONGTERM
from components.scheduled_job import Schedule, ScheduledJob, ScheduledJobArgs
from schemas.catalog import Catalog
from schemas.settings import Settings


@dataclass(frozen=True)
class DownsampleArgs:
    """The environment, its teams, and the image of the job."""

    settings: Settings
    catalog: Catalog
    images: Images


class Downsample(ScheduledJob):
    """Every hour, since Pyroscope 2 does not downsample. What is merged later than 24 h is never found again."""

    def __init__(self, name: str, args: DownsampleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        url = args.settings.correlation.prometheus_url
        # Environment local has no Prometheus, and a job that cannot write its figures fails.
        figures = [] if args.settings.environment == "local" else [f"--prometheus={url}"]
        job = ScheduledJobArgs(
            catalog=args.catalog,
            images=args.images,
            arguments=["downsample", f"--longterm-suffix={LONGTERM}", *figures],
            # Seven minutes past: what was under way when the hour before the last was closed is stored by then.
            schedule=Schedule("7 * * * *", late_seconds=1800, deadline_seconds=3000),
            # Measured: 470 MiB with two of the largest profiles that the tenant takes (200,000 samples) in memory.
            memory="1Gi",
            image="downsample",
            egress=[network.to_url(args.settings.alerts.prometheus_namespace, url)],
            # What is pushed twice cannot be taken back. The Lease lasts as long as the deadline.
            api_server=args.settings.cluster.api_server,
        )
        super().__init__("backend", "Downsample", name, job, opts)
