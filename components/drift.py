"""Drift: every service's last hour against the same hour of other days, and who is told."""

from dataclasses import dataclass

import pulumi

from components import network
from components.pods import Images
from components.scheduled_job import Schedule, ScheduledJob, ScheduledJobArgs
from schemas.catalog import Catalog
from schemas.settings import Settings


@dataclass(frozen=True)
class DriftArgs:
    """The environment (where metrics and alerts go), the services, and the image of the job."""

    settings: Settings
    catalog: Catalog
    images: Images


class Drift(ScheduledJob):
    """Every 15 minutes on a sliding hour, so that a change is seen well within the hour. Blame is part of its alert."""

    def __init__(self, name: str, args: DriftArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regression = args.settings.regression
        egress = [network.to_url(args.settings.alerts.prometheus_namespace, args.settings.correlation.prometheus_url)]
        if regression.egress:
            egress.append(network.to(network.addresses(regression.egress), 443))
        job = ScheduledJobArgs(
            catalog=args.catalog,
            images=args.images,
            arguments=["drift", f"--prometheus={args.settings.correlation.prometheus_url}"],
            schedule=Schedule("*/15 * * * *", late_seconds=300, deadline_seconds=600),
            memory="512Mi",
            egress=egress,
            # Optional: without the Secret alerts go to the log and to Prometheus only.
            env=[
                {
                    "name": "FLAMEPLANE_SLACK_TOKEN",
                    "value_from": {
                        "secret_key_ref": {"name": regression.slack_secret, "key": "token", "optional": True}
                    },
                }
            ],
        )
        super().__init__("regression", "Drift", name, job, opts)
