"""Hourly profiles for 90 days: each closed hour of a team's tenant is merged into its long-term tenant."""

from dataclasses import dataclass

import pulumi

from components.pods import Images
from components.pyroscope_config import LONGTERM
from components.scheduled_job import Schedule, ScheduledJob, ScheduledJobArgs
from schemas.catalog import Catalog


@dataclass(frozen=True)
class DownsampleArgs:
    """Teams, and the image of the job."""

    catalog: Catalog
    images: Images


class Downsample(ScheduledJob):
    """Every hour, since Pyroscope 2 does not downsample. What is merged later than 24 h is never found again."""

    def __init__(self, name: str, args: DownsampleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        job = ScheduledJobArgs(
            catalog=args.catalog,
            images=args.images,
            arguments=["downsample", f"--longterm-suffix={LONGTERM}"],
            # Seven minutes past: pushes that were under way at the full hour are stored by then.
            schedule=Schedule("7 * * * *", late_seconds=1800, deadline_seconds=3000),
            memory="512Mi",
        )
        super().__init__("backend", "Downsample", name, job, opts)
