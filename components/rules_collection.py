"""Alerts of the collection: a declared service is seen, agents keep within what they may take and lose nothing."""

from collections.abc import Iterator
from typing import Final

from components.rule_forms import Rule, alert, record
from schemas.allowed import AGENT_NAMESPACE
from schemas.catalog import Catalog

SERVICE_OF_GROUP: Final = '"service", "$1", "usage_group", "svc/(.*)"'
# What the agent may take on a node, twice its budget (docs/components.md): 1 % of a core, 160 MB with its BPF maps.
CPU_CORES: Final = 0.02
MEMORY_BYTES: Final = 320_000_000
_CONTAINERS: Final = f'namespace="{AGENT_NAMESPACE}",pod=~"flameplane-node-.+",container!=""'


def collection(catalog: Catalog) -> Iterator[Rule]:
    """Health is profiles seen, not pods ready."""
    for service in catalog.services:
        if service.spec.profiling.sample_rate_hz > 0:
            yield record("flameplane:service_declared", "vector(1)", {"service": service.name, "team": service.team})
    yield alert(
        "FlameplaneServiceSilent",
        # A service without pods is not silent.
        "(flameplane:service_declared and on (service) sum by (service) (flameplane_agent_pods) > 0) "
        "unless on (service) sum by (service) (label_replace("
        f"increase(pyroscope_usage_group_received_decompressed_total[15m]), {SERVICE_OF_GROUP})) > 0",
        "15m",
        ("warning", "collection"),
        "{{ $labels.service }} runs and is declared, but no profile of it arrived for 15 minutes",
    )
    yield alert(
        "FlameplaneAgentMissing",
        f'kube_daemonset_status_number_unavailable{{namespace="{AGENT_NAMESPACE}",daemonset="flameplane-node"}} > 0',
        "15m",
        ("warning", "collection"),
        "{{ $value }} nodes have no working agent: what runs there is not profiled",
    )
    yield alert(
        "FlameplaneAgentDrops",
        "sum by (node, reason) (rate(flameplane_agent_dropped_samples_total[10m])) > 0",
        "10m",
        ("warning", "collection"),
        "the agent on {{ $labels.node }} drops samples ({{ $labels.reason }})",
    )
    yield alert(
        "FlameplaneAgentCpu",
        f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{_CONTAINERS}}}[15m])) > {CPU_CORES}",
        "30m",
        ("warning", "collection"),
        "agent {{ $labels.pod }} takes {{ $value | humanizePercentage }} of a core, more than twice its budget",
    )
    yield alert(
        "FlameplaneAgentMemory",
        f"sum by (pod) (container_memory_working_set_bytes{{{_CONTAINERS}}}) > {MEMORY_BYTES}",
        "30m",
        ("warning", "collection"),
        "agent {{ $labels.pod }} takes {{ $value | humanize1024 }}B, more than twice its budget",
    )
    yield alert(
        "FlameplaneGitRefMissing",
        "sum by (service) (rate(flameplane_agent_git_ref_missing_total[30m])) > 0",
        "1h",
        ("info", "collection"),
        "pods of {{ $labels.service }} carry no git commit: the gate and blame cannot tell versions apart",
    )
