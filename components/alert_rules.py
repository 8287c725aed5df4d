"""The rules as Kubernetes objects: for the Prometheus operator, or as a file for a Prometheus without one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import ConfigMap

from components.base import PART_OF, Component
from components.rule_forms import RUNBOOKS
from components.rules import groups
from components.text import as_yaml
from schemas.allowed import NAMESPACES, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.settings import Alerts

NAME: Final = "flameplane-rules"
_MONITORING: Final = "monitoring.coreos.com/v1"


@dataclass(frozen=True)
class AlertRulesArgs:
    """In which form the rules are wanted, and the catalog with the budgets."""

    alerts: Alerts
    catalog: Catalog


class AlertRules(Component):
    """Budget alerts at 80 % and 100 %, and the platform's own health; each names its page in docs/runbooks.

    Limits: rules on workloads need kube-state-metrics and the kubelet's metrics in the same Prometheus, those on the
    guards the API server's; where these are missing the alerts stay silent. One platform per Prometheus.
    """

    def __init__(self, name: str, args: AlertRulesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("cost", "AlertRules", name, opts)
        spec = {"groups": groups(args.catalog, args.alerts.runbook_url or RUNBOOKS)}
        if args.alerts.rules == "prometheusrule":
            self._custom("PrometheusRule", NAME, spec)
            self._custom("PodMonitor", "flameplane", _pod_monitor())
        else:
            ConfigMap(
                f"{SYSTEM_NAMESPACE}/{NAME}",
                metadata=self.metadata(NAME, SYSTEM_NAMESPACE),
                data={"flameplane.rules.yaml": as_yaml(spec)},
                opts=self.options(),
            )
        self.register_outputs({})

    def _custom(self, kind: str, name: str, spec: Mapping[str, object]) -> None:
        CustomResource(
            f"{SYSTEM_NAMESPACE}/{name}",
            api_version=_MONITORING,
            kind=kind,
            metadata=self.metadata(name, SYSTEM_NAMESPACE),
            spec=spec,
            opts=self.options(),
        )


def _pod_monitor() -> dict[str, object]:
    """All pods of the platform, by their named ports; the operator reads no annotations."""
    return {
        "namespaceSelector": {"matchNames": sorted(NAMESPACES)},
        "selector": {"matchLabels": PART_OF},
        "podMetricsEndpoints": [{"port": "metrics"}, {"port": "rx-metrics"}],
    }
