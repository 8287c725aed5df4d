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
# Languages whose agent inside the process has a bridge that ties samples to spans. Go has one only for profiles that
# the process pushes itself, which are not collected here; Node.js has none.
SPAN_PROFILE_LANGUAGES: Final = ("java", "python")
SAMPLE_RATE_HZ: Final = (0, 99)  # 99 Hz: the field's default, off the 100 Hz timer beat; 19 the baseline tier; 0 is off

# Labels of a profile that the backend keeps. Everything else is dropped before it is stored: each new value would be a
# series of its own, and what applications write into labels may be personal data.
PROFILE_LABELS: Final = (
    *("service_name", "team", "namespace", "pod", "container", "node", "language"),
    *("service_version", "version", "track", "region", "environment", "resolution"),
    *("service_repository", "service_git_ref", "service_root_path"),  # what Grafana's links to source code are made of
)

# -- retention, days ---------------------------------------------------------------------------------------------------
RETENTION_DAYS: Final = (30, 90)  # the promise of the platform: never less than 30, never more than 90
# Of the 90 the last five are for being deleted (docs/retention.md has the sum), so that nothing is older than 90 days
# before it is gone: Pyroscope deletes up to 12 h late, an hourly profile is pushed up to 21 h late, and what its index
# has lost goes by S3, which comes two days after Pyroscope would have, and up to a day after its own day.
LONGEST_KEPT_DAYS: Final = 85  # what the backend may be told to keep
ERASED_HOURS: Final = 1  # of a team that is being erased; 0 would be for ever
LONGEST_ORPHANED_DAYS: Final = 87  # when S3 deletes blocks, whoever forgot them

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
# What the metadata of an object may hold beside its name. Controllers do things by labels and annotations: they publish
# a Service, put containers into pods, gather roles. What is not listed could be one of those.
OBJECT_LABELS: Final = ("app.kubernetes.io/name", "app.kubernetes.io/part-of", "flameplane.dev/layer")
WAIT_ANNOTATION: Final = "pulumi.com/skipAwait"
SERVICE_TYPES: Final = ("ClusterIP",)  # nothing of the platform is reachable from outside the cluster by itself
WIDEST_PREFIX: Final = {
    4: 12,
    6: 32,
}  # by version of IP: a range wider than this names no one (no VPC has more than a /16)

# -- the network -------------------------------------------------------------------------------------------------------
# The one program that may reach the internet, and the only port. What is `private` it reaches by a rule of its own.
EGRESS_PROXY: Final = "egress-proxy"
INTERNET_PORT: Final = 443
# IANA special-purpose registries (RFC 6890): private, shared (RFC 6598), this host, link-local (the metadata services
# of clouds among them), multicast, reserved.
PRIVATE_RANGES: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
PRIVATE_RANGES_V6: Final = ("::1/128", "fc00::/7", "fe80::/10", "ff00::/8")
# Where EC2 hands out the node's credentials (EC2 user guide, "Instance metadata"): no pod of the platform may reach it.
METADATA_ADDRESSES: Final = ("169.254.169.254", "fd00:ec2::254")
# Where the agent of EKS Pod Identity, a process of the node, hands a pod its own role's credentials (AWS EKS user
# guide, "How EKS Pod Identity works"); port 80.
POD_IDENTITY_ADDRESS: Final = "169.254.170.23"

# Registries that serve everybody. What is pulled from them is there as long as somebody else likes, by names that
# anybody may take, at a rate that they set; an environment copies its images into a registry of its own.
PUBLIC_REGISTRIES: Final = (
    *("docker.io", "docker.com", "ghcr.io", "quay.io", "gcr.io", "k8s.io", "public.ecr.aws", "mcr.microsoft.com"),
    *("registry.access.redhat.com", "registry.redhat.io", "registry.gitlab.com", "cgr.dev", "nvcr.io", "lscr.io"),
)

# -- the cloud ---------------------------------------------------------------------------------------------------------
# AWS services that may act by themselves, for our own account: EKS gives pods their roles, two send notices.
CLOUD_SERVICES: Final = ("budgets.amazonaws.com", "cloudwatch.amazonaws.com", "pods.eks.amazonaws.com")
# All that pods may do in S3: Pyroscope with the profiles, the gateway with its audit records, which it cannot read.
PROFILE_ACTIONS: Final = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)
AUDIT_ACTIONS: Final = ("s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:PutObject")

# -- kinds -------------------------------------------------------------------------------------------------------------
# What may be declared at all: the kinds that the policy pack judges, with their API versions.
KINDS: Final = {
    **dict.fromkeys(
        ("ConfigMap", "Namespace", "PersistentVolume", "Pod", "Service", "ServiceAccount"),
        ("v1",),
    ),
    **dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), ("apps/v1",)),
    **dict.fromkeys(("CronJob", "Job"), ("batch/v1",)),
    **dict.fromkeys(
        ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
        ("rbac.authorization.k8s.io/v1",),
    ),
    **dict.fromkeys(
        (
            *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
            *("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"),
        ),
        ("admissionregistration.k8s.io/v1",),
    ),
    **dict.fromkeys(("Ingress", "NetworkPolicy"), ("networking.k8s.io/v1",)),
    **dict.fromkeys(("Gateway", "HTTPRoute", "GRPCRoute"), ("gateway.networking.k8s.io/v1",)),
    **dict.fromkeys(("PodMonitor", "PrometheusRule"), ("monitoring.coreos.com/v1",)),
    "Certificate": ("cert-manager.io/v1",),
    "PersistentVolumeClaim": ("v1",),
    "PodDisruptionBudget": ("policy/v1",),
    "PriorityClass": ("scheduling.k8s.io/v1",),
    "StorageClass": ("storage.k8s.io/v1",),
    # Judged by their kind, whatever the version (policies/rules/exposure.py).
    **dict.fromkeys(
        (
            *("TLSRoute", "TCPRoute", "UDPRoute", "ReferenceGrant", "HTTPProxy", "IngressRoute", "IngressRouteTCP"),
            *("VirtualService", "Route", "ReplicationController"),
        ),
        (),
    ),
}
CLOUD_KINDS: Final = (
    *("aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy", "aws:s3/bucketVersioning:BucketVersioning"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    *("aws:kms/key:Key", "aws:kms/alias:Alias", "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"),
    *("aws:eks/podIdentityAssociation:PodIdentityAssociation", "aws:ec2/vpcEndpoint:VpcEndpoint"),
    *("aws:budgets/budget:Budget", "aws:costexplorer/costAllocationTag:CostAllocationTag"),
    *("aws:sns/topic:Topic", "aws:sns/topicPolicy:TopicPolicy", "aws:sns/topicSubscription:TopicSubscription"),
    *("aws:cloudwatch/logMetricFilter:LogMetricFilter", "aws:cloudwatch/metricAlarm:MetricAlarm"),
)

# -- tokens ------------------------------------------------------------------------------------------------------------
TOKEN_AUDIENCES: Final = ("flameplane-gateway",)  # what a token of our programs may be good for
TOKEN_SECONDS: Final = 3600  # how long, at most; the kubelet renews it
# Programs that call the API server, by namespace and service account.
API_CLIENTS: Final = (
    (AGENT_NAMESPACE, "flameplane-node"),
    (ACCESS_NAMESPACE, "gateway"),
    (SYSTEM_NAMESPACE, "flameplane-downsample"),
)

# -- exports and profilers ---------------------------------------------------------------------------------------------
EXPORT_FORMATS: Final = ("pprof", "tree", "dot")
# How long a grant to export may hold: who was asked still knows why, and has not yet left.
GRANT_DAYS: Final = 7
# The JFR events that hold stacks and no values; all others are off.
JFR_EVENTS: Final = ("jdk.ExecutionSample", "jdk.ObjectAllocationSample")

# -- ways into a pod past the gateway ----------------------------------------------------------------------------------
# Subresources that the admission policies refuse in the platform's namespaces, and rule FP017 in every Role.
PAST_THE_GATEWAY: Final = ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy")
INTO_A_POD: Final = "pods/ephemeralcontainers"
BREAK_GLASS_GROUP: Final = "flameplane-break-glass"  # empty, but for the hours of an incident; its use is audited
# Who makes pods, and who makes those: everything else was made by hand.
POD_OWNERS: Final = ("DaemonSet", "Job", "ReplicaSet", "StatefulSet")
