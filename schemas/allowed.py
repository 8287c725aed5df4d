"""The table of allowed values that models, components, the policy pack and the in-cluster admission policies share.

One row is written once: a rule in Python and its CEL twin in the cluster can then not drift apart.
"""

from typing import Final

# -- service.yaml ------------------------------------------------------------------------------------------------------
LANGUAGES: Final = ("go", "java", "node", "python", "native")
# What each runtime's profilers can deliver. CPU and off-CPU come from the eBPF agent for every process; the rest needs
# a profiler inside the process (Go pprof, async-profiler, V8). py-spy's engine delivers CPU and wall time only.
PROFILE_TYPES: Final = {
    "go": ("cpu", "alloc", "mutex", "block", "goroutine", "offcpu"),
    "java": ("cpu", "alloc", "mutex", "wall", "offcpu"),
    "node": ("cpu", "alloc", "wall", "offcpu"),
    "python": ("cpu", "wall", "offcpu"),
    "native": ("cpu", "offcpu"),
}
# Types that the eBPF agent delivers by itself; any other type needs the language agent.
EBPF_TYPES: Final = ("cpu", "offcpu")
# Languages whose agent is injected into the pod (Go is scraped, native has none).
INJECTED_LANGUAGES: Final = ("java", "node", "python")
SAMPLE_RATE_HZ: Final = (0, 99)  # 99 Hz: the field's default, off the 100 Hz timer beat; 19 the baseline tier; 0 is off

# -- retention, days ---------------------------------------------------------------------------------------------------
RETENTION_DAYS: Final = (30, 90)  # the promise of the platform: never less than 30, never more than 90

# -- the node agent ----------------------------------------------------------------------------------------------------
AGENT_NAMESPACE: Final = "flameplane-node"
AGENT_CAPABILITIES: Final = {"loader": ("BPF", "PERFMON"), "agent": ("PERFMON",), "receiver": ()}
# A uid and gid of its own: 65532 is what distroless images use, and the gid guards the BPF pins.
AGENT_UID: Final = 47113
AGENT_HOST_PATHS: Final = ("/sys/fs/bpf/flameplane", "/var/lib/kubelet/seccomp/flameplane")

# -- the platform ------------------------------------------------------------------------------------------------------
SYSTEM_NAMESPACE: Final = "flameplane-system"
ACCESS_NAMESPACE: Final = "flameplane-access"
BACKEND_NAMESPACE: Final = "flameplane-backend"
# Namespace -> Pod Security level that is enforced. Only the agent's needs more than `restricted`: no Pod Security level
# lies between `privileged` and `baseline`, so an admission policy of our own holds that namespace instead.
NAMESPACES: Final = {
    AGENT_NAMESPACE: "privileged",
    SYSTEM_NAMESPACE: "restricted",
    ACCESS_NAMESPACE: "restricted",
    BACKEND_NAMESPACE: "restricted",
}
SERVICE_TYPES: Final = ("ClusterIP",)  # nothing of the platform is reachable from outside the cluster by itself
