"""An alarm on the cluster's audit log: somebody tries to get into the platform's pods past the gateway."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws.cloudwatch import LogMetricFilter, MetricAlarm

from components.aws.site import Site
from components.base import Component
from schemas.allowed import INTO_A_POD, NAMESPACES, PAST_THE_GATEWAY

NAME: Final = "past-the-gateway"
METRIC_NAMESPACE: Final = "Flameplane"
SECONDS: Final = 60  # the shortest that an alarm on a metric filter looks back


@dataclass(frozen=True)
class ClusterAuditArgs:
    """The account, and in it the cluster whose log is watched."""

    site: Site


class ClusterAudit(Component):
    """A metric filter on the log group that EKS writes, and an alarm at the first line.

    The guard (components/platform_guard.py) refuses these requests, RBAC some before it, and break-glass is let
    through: the log has all three, with who asked. The API server's metrics have what the guard refused, and no names.

    Limits: the log group is there once the cluster's logging type `audit` is on; without it this is not applied. Lines
    come some seconds to a minute late. `nodes/proxy` belongs to no namespace, and monitoring uses it: it is not here.
    """

    def __init__(self, name: str, args: ClusterAuditArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cloud", "ClusterAudit", name, opts)
        site = args.site
        metric = f"flameplane-{site.environment}-{NAME}"
        found = LogMetricFilter(
            NAME,
            name=metric,
            log_group_name=site.cluster_log,
            pattern=pattern(),
            metric_transformation={"name": metric, "namespace": METRIC_NAMESPACE, "value": "1"},
            opts=self.options(),
        )
        MetricAlarm(
            NAME,
            name=metric,
            alarm_description="Somebody asked for exec, attach, port-forward, a proxy or an ephemeral container in the "
            "platform's namespaces. Who: docs/runbooks/FlameplaneGuardDenied.md",
            namespace=METRIC_NAMESPACE,
            metric_name=metric,
            statistic="Sum",
            period=SECONDS,
            evaluation_periods=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            treat_missing_data="notBreaching",  # no line is what every day should look like
            alarm_actions=[site.topic_arn],
            tags=site.tags("cluster-audit"),
            opts=self.options([found]),
        )
        self.register_outputs({})


def pattern() -> str:
    """The lines of the audit log that count, in the syntax of CloudWatch's filters for JSON (at most 1,024 characters).

    Whatever the answer was. What is `pods/exec` elsewhere is objectRef.subresource `exec` there.
    """
    ways = sorted({way.rpartition("/")[2] for way in (*PAST_THE_GATEWAY, INTO_A_POD)})
    return f"{{ ({_one_of('namespace', NAMESPACES)}) && ({_one_of('subresource', ways)}) }}"


def _one_of(field: str, values: Iterable[str]) -> str:
    return " || ".join(f'$.objectRef.{field} = "{value}"' for value in values)
