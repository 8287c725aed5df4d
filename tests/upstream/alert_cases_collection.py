"""Cases of the alerts on the collection."""

from alert_case import Case

RAW = 'pyroscope_usage_group_received_decompressed_total{type="cpu",tenant="payments",usage_group="svc/checkout"}'
PODS = 'flameplane_agent_pods{service="checkout",team="payments",node="n"}'
AGENT = '{namespace="flameplane-node",pod="flameplane-node-a",container="agent"}'
CHECKOUT = {"service": "checkout", "team": "payments"}

CASES: dict[str, Case] = {
    "runs and is silent": (
        {PODS: "1x60"},
        "FlameplaneServiceSilent",
        50,
        (CHECKOUT, "checkout runs and is declared, but no profile of it arrived for 15 minutes"),
    ),
    "runs and is seen": ({PODS: "1x60", RAW: "0+1000x60"}, "FlameplaneServiceSilent", 50, None),
    "does not run": ({PODS: "0x60"}, "FlameplaneServiceSilent", 50, None),
    "a node without an agent": (
        {'kube_daemonset_status_number_unavailable{namespace="flameplane-node",daemonset="flameplane-node"}': "2x30"},
        "FlameplaneAgentMissing",
        20,
        (
            {"namespace": "flameplane-node", "daemonset": "flameplane-node"},
            "2 nodes have no working agent: what runs there is not profiled",
        ),
    ),
    "every node has one": (
        {'kube_daemonset_status_number_unavailable{namespace="flameplane-node",daemonset="flameplane-node"}': "0x30"},
        "FlameplaneAgentMissing",
        20,
        None,
    ),
    "the agent drops": (
        {'flameplane_agent_dropped_samples_total{node="n",reason="maps"}': "0+10x40"},
        "FlameplaneAgentDrops",
        30,
        ({"node": "n", "reason": "maps"}, "the agent on n drops samples (maps)"),
    ),
    "the agent dropped once": (
        {'flameplane_agent_dropped_samples_total{node="n",reason="maps"}': "0 10x60"},
        "FlameplaneAgentDrops",
        50,
        None,
    ),
    "the agent at 3 % of a core": (
        {f"container_cpu_usage_seconds_total{AGENT}": "0+1.8x60"},
        "FlameplaneAgentCpu",
        55,
        ({"pod": "flameplane-node-a"}, "agent flameplane-node-a takes 3% of a core, more than twice its budget"),
    ),
    "the agent at 1 % of a core": (
        {f"container_cpu_usage_seconds_total{AGENT}": "0+0.6x60"},
        "FlameplaneAgentCpu",
        55,
        None,
    ),
    "the agent at 400 MiB": (
        {f"container_memory_working_set_bytes{AGENT}": "419430400x60"},
        "FlameplaneAgentMemory",
        40,
        ({"pod": "flameplane-node-a"}, "agent flameplane-node-a takes 400MiB, more than twice its budget"),
    ),
    "the agent at 150 MB": (
        {f"container_memory_working_set_bytes{AGENT}": "150000000x60"},
        "FlameplaneAgentMemory",
        40,
        None,
    ),
    "no git commit": (
        {'flameplane_agent_git_ref_missing_total{service="checkout",node="n"}': "0+1x120"},
        "FlameplaneGitRefMissing",
        100,
        (
            {"service": "checkout"},
            "pods of checkout carry no git commit: the gate and blame cannot tell versions apart",
        ),
    ),
    "git commits": (
        {'flameplane_agent_git_ref_missing_total{service="checkout",node="n"}': "0x120"},
        "FlameplaneGitRefMissing",
        100,
        None,
    ),
}
