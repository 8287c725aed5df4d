"""Drift: every service's last hour against the same hour of other days, and who is told."""

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components import network
from components.egress_config import PORT as EGRESS_PORT
from components.pods import Images
from components.scheduled_job import Schedule, ScheduledJob, ScheduledJobArgs
from schemas.allowed import EGRESS_PROXY, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Settings

APP: Final = "flameplane-drift"


@dataclass(frozen=True)
class DriftArgs:
    """The environment, the services, the image of the job, and the proxy to chat and git hosts (None: no way out)."""

    settings: Settings
    catalog: Catalog
    images: Images
    proxy_url: str | None


class Drift(ScheduledJob):
    """Every 15 minutes on a sliding hour, so that a change is seen well within the hour. Blame is part of its alert."""

    def __init__(self, name: str, args: DriftArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regression = args.settings.regression
        egress = [network.to_url(args.settings.alerts.prometheus_namespace, args.settings.correlation.prometheus_url)]
        if args.proxy_url:
            egress.append(network.to(network.app(SYSTEM_NAMESPACE, EGRESS_PROXY), EGRESS_PORT))
        job = ScheduledJobArgs(
            catalog=args.catalog,
            images=args.images,
            arguments=["drift", f"--prometheus={args.settings.correlation.prometheus_url}"],
            schedule=Schedule("*/15 * * * *", late_seconds=300, deadline_seconds=600),
            memory="512Mi",
            egress=egress,
            # Optional: without the Secret alerts go to the log and to Prometheus only.
            env=[
                *_proxy(args.proxy_url),
                {
                    "name": "FLAMEPLANE_SLACK_TOKEN",
                    "value_from": {
                        "secret_key_ref": {"name": regression.slack_secret, "key": "token", "optional": True}
                    },
                },
            ],
        )
        super().__init__("regression", "Drift", name, job, opts)


def _proxy(url: str | None) -> list[EnvVarArgsDict]:
    """What HTTP libraries read. Services of the cluster are reached directly: the proxy would refuse them."""
    return (
        [{"name": "HTTPS_PROXY", "value": url}, {"name": "NO_PROXY", "value": ".svc,.svc.cluster.local"}] if url else []
    )
