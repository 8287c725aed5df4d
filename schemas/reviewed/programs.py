"""What runs in the platform's namespaces, program by program: with what it is started, and what keeps it up.

Arguments, variables and mounts are whole: any other one was not reviewed. Values in braces are the settings'
(`schemas.settings.Settings`). Replicas and sizes are those that the environment or services/ ask for, at least the
smallest that work.
"""

from dataclasses import dataclass
from typing import Any, Final

from schemas.allowed import ACCESS_NAMESPACE, AGENT_NAMESPACE, AGENT_UID, BACKEND_NAMESPACE, SYSTEM_NAMESPACE
from schemas.reviewed.forms import OneOf
from schemas.reviewed.pods import AGENT_POD_FIELDS, AGENT_SECCOMP
from schemas.reviewed.program_forms import (
    ELSEWHERE,
    HOST,
    RESTRICTED,
    RUNTIME_DEFAULT,
    Program,
    Workload,
    from_field,
    from_secret,
    http,
    rolling,
    spread,
    tcp,
    user,
)
from schemas.reviewed.programs_backend import backend
from schemas.settings import Settings
from schemas.settings.environments import RELIED_ON

GATEWAY_URL: Final = f"http://gateway.{ACCESS_NAMESPACE}.svc:4040"
TOKEN: Final = "/var/run/secrets/flameplane"  # noqa: S105  a folder
API_TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  a folder
RECEIVER_UID: Final = AGENT_UID + 1  # it parses foreign data, and must not open the agent's pins
Key = tuple[str, str]  # namespace and name


def workloads(settings: Settings, teams: tuple[str, ...], services: int) -> dict[Key, Workload]:
    """All that an environment runs, by namespace and name. ``services``: how many are declared."""
    found = {(AGENT_NAMESPACE, "flameplane-node"): _agent(settings), (ACCESS_NAMESPACE, "gateway"): _gateway(settings)}
    if settings.correlation.grafana.mode == "own":
        found[(ACCESS_NAMESPACE, "grafana")] = _grafana(settings.correlation.grafana)
    if settings.regression.egress_hosts:
        found[(SYSTEM_NAMESPACE, "egress-proxy")] = _EGRESS_PROXY
    found[(SYSTEM_NAMESPACE, "network-probe")] = _network_probe(settings)
    found |= {(SYSTEM_NAMESPACE, f"flameplane-{job.name}"): _job(job, settings, teams) for job in JOBS}
    return found | {(BACKEND_NAMESPACE, name): w for name, w in backend(settings, services).items()}


def _agent(settings: Settings) -> Workload:
    mounts = {"config": "/etc/flameplane", "api-token": API_TOKEN, "gateway-token": TOKEN}
    told = ("--services=/etc/flameplane/services.json", f"--gateway={GATEWAY_URL}", f"--gateway-token={TOKEN}/token")
    where = {"NODE_NAME": from_field("spec.nodeName"), "POD_NAME": from_field("metadata.name")}

    def node_program(image: str, arguments: tuple[str, ...], port: str, **more: Any) -> Program:
        ready, alive = http("/ready", port), http("/healthz", port, 30)
        return Program(image=image, arguments=arguments, environment=where, ready=ready, alive=alive, **more)

    def security(uid: int, gid: int) -> dict[str, Any]:
        return {**RESTRICTED, "runAsUser": uid, "runAsGroup": gid, "runAsNonRoot": uid != 0}

    agent = node_program(
        "agent",
        ("agent", "--pins=/bpf", *told, "--metrics=:4041", "--name-files"),
        "metrics",
        size=("20m", "64Mi", "500m", "128Mi"),
        ports={"metrics": 4041},
        mounts={"pins": "/bpf", **mounts},
        security={
            **security(AGENT_UID, AGENT_UID),
            # As one value: rule FP002 says one thing of it, whatever is wrong.
            "seccompProfile": OneOf(({"type": "Localhost", "localhostProfile": AGENT_SECCOMP},)),
        },
    )
    receiver = node_program(
        "receiver",
        ("--listen=:4040", *told, "--metrics=:4042"),
        "rx-metrics",
        size=("10m", "32Mi", "250m", "128Mi"),
        ports={"http": 4040, "rx-metrics": 4042},
        mounts=mounts,
        security=security(RECEIVER_UID, RECEIVER_UID),
    )
    loader = Program(
        image="agent",
        arguments=("loader", "--pins=/bpf", "--seccomp-profile=/seccomp/agent.json", f"--gid={AGENT_UID}"),
        size=("10m", "64Mi", "500m", "192Mi"),
        mounts={"pins": "/bpf", "seccomp": "/seccomp"},
        security=security(0, AGENT_UID),
    )
    # Fargate's nodes run no DaemonSet.
    fargate = {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]}
    term = {"nodeSelectorTerms": [{"matchExpressions": [fargate]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}
    return Workload(
        "DaemonSet",
        {"fsGroup": RECEIVER_UID, "seccompProfile": RUNTIME_DEFAULT},
        {"agent": agent, "receiver": receiver},
        {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}},
        {"terminationGracePeriodSeconds": 30, "affinity": affinity, **AGENT_POD_FIELDS},
        {"loader": loader},
        budget=False,
    )


def _gateway(settings: Settings) -> Workload:
    certificate = {"backend-tls": "/etc/flameplane/backend-tls"} if settings.backend.tls else {}
    gateway = Program(
        image="gateway",
        arguments=(
            *("--listen=:4040", "--metrics=:4041", "--config=/etc/flameplane/gateway/gateway.yaml"),
            *("--ci-gate=/etc/flameplane/ci-gate", "--grants=/etc/flameplane/grants"),
            "--audit=/var/lib/flameplane/audit",
        ),
        size=("100m", "128Mi", "1", "512Mi"),
        environment={
            "POD_NAME": from_field("metadata.name"),
            "POD_NAMESPACE": from_field("metadata.namespace"),
            "GOMEMLIMIT": "460MiB",
        },
        ports={"http": 4040, "metrics": 4041},
        mounts={
            "config": "/etc/flameplane/gateway",
            "ci-gate": "/etc/flameplane/ci-gate",
            "grants": "/etc/flameplane/grants",
            "api-token": API_TOKEN,
            "audit": "/var/lib/flameplane/audit",
            **certificate,
        },
        ready=http("/ready", "metrics"),
        alive=http("/healthz", "metrics", 30),
    )
    return Workload(
        "Deployment",
        user(65532, volumes=True),
        {"gateway": gateway},
        {"replicas": settings.access.replicas, "strategy": rolling()},
        {"terminationGracePeriodSeconds": 60, "topologySpreadConstraints": spread("gateway", HOST)},
    )


def _grafana(grafana: Any) -> Workload:
    home, provisioning = "/usr/share/grafana", "/etc/flameplane/grafana/provisioning"
    program = Program(
        image="grafana",
        command=(f"{home}/bin/grafana",),  # not the image's start script, which installs plugins from the internet
        arguments=("server", f"--homepath={home}"),
        size=("100m", "256Mi", "1", "512Mi"),
        environment=ELSEWHERE,
        ports={"http": 3000},
        mounts={
            "datasources": f"{provisioning}/datasources",
            "providers": f"{provisioning}/dashboards",
            "dashboards": "/etc/flameplane/grafana/dashboards",
            "secret": "/etc/flameplane/grafana/secret",
            "data": "/var/lib/grafana",
            "tmp": "/tmp",  # noqa: S108
        },
        ready=http("/api/health", "http"),
        alive=http("/api/health", "http", 30),
    )
    strategy = {"type": "Recreate"} if grafana.storage else rolling()  # a volume is mounted by one pod
    return Workload(
        "Deployment",
        user(10472, volumes=True),
        {"grafana": program},
        {"replicas": grafana.replicas, "strategy": strategy},
        {"terminationGracePeriodSeconds": 30, "topologySpreadConstraints": spread("grafana", HOST)},
    )


_EGRESS_PROXY: Final = Workload(
    "Deployment",
    user(65532),
    {
        "egress-proxy": Program(
            image="egress-proxy",
            command=("/usr/sbin/squid",),
            arguments=("-N", "-d", "1", "-f", "/etc/flameplane/egress-proxy/squid.conf"),
            size=("20m", "64Mi", "500m", "128Mi"),
            ports={"proxy": 3128},
            mounts={"config": "/etc/flameplane/egress-proxy"},
            ready=tcp("proxy"),
            alive=tcp("proxy", 30),
        )
    },
    {"replicas": 2, "strategy": rolling()},
    {"terminationGracePeriodSeconds": 30, "topologySpreadConstraints": spread("egress-proxy", HOST)},
)


def _network_probe(settings: Settings) -> Workload:
    """Where people rely on it, it is ready only on a network that enforces policies."""
    demand = ("--demand",) if settings.environment in RELIED_ON else ()
    program = Program(
        image="network-probe",
        arguments=(
            f"--peers=network-probe.{SYSTEM_NAMESPACE}.svc",
            *("--open=8090", "--ingress-closed=8091", "--egress-closed=8092", "--metrics=:4041"),
            *demand,
        ),
        size=("5m", "16Mi", "100m", "32Mi"),
        environment={"POD_IPS": from_field("status.podIPs")},
        ports={"open": 8090, "metrics": 4041},
        ready=http("/ready", "metrics"),
        alive=http("/healthz", "metrics", 30),
    )
    return Workload(
        "Deployment",
        user(65532),
        {"network-probe": program},
        {"replicas": 2, "strategy": rolling()},
        {"terminationGracePeriodSeconds": 10, "topologySpreadConstraints": spread("network-probe", HOST)},
    )


@dataclass(frozen=True)
class Job:
    """One job: what it is told beside catalog and gateway, when it runs (UTC), and how long it may be late and take."""

    name: str
    arguments: tuple[str, ...]
    schedule: str
    late_seconds: int
    deadline_seconds: int
    memory: str
    image: str = "jobs"
    alone: bool = False  # holds the Lease of its name while it runs


PROMETHEUS: Final = "--prometheus={correlation.prometheus_url}"
JOBS: Final = (
    # What is merged later than 24 h after its hour is never found again.
    Job(
        "downsample",
        ("downsample", "--longterm-suffix=-longterm", PROMETHEUS),
        "7 * * * *",
        late_seconds=1800,
        deadline_seconds=3000,
        memory="1Gi",
        image="downsample",
        alone=True,
    ),
    Job("drift", ("drift", PROMETHEUS), "*/15 * * * *", 300, 600, "512Mi"),
    Job("cost-report", ("cost-report", PROMETHEUS), "20 5 * * *", 21600, 1800, "256Mi"),
)


def _told(job: Job, settings: Settings) -> tuple[str, ...]:
    """Environment local has no Prometheus to write to, and the job there would fail every hour."""
    silent = job.name == "downsample" and settings.environment == "local"
    return tuple(a for a in job.arguments if not (silent and a == PROMETHEUS))


def _job(job: Job, settings: Settings, teams: tuple[str, ...]) -> Workload:
    environment: dict[str, Any] = {}
    if job.name == "drift":
        if settings.regression.egress_hosts:
            environment["HTTPS_PROXY"] = f"http://egress-proxy.{SYSTEM_NAMESPACE}.svc:3128"
            environment["NO_PROXY"] = ".svc,.svc.cluster.local"
        secret = from_secret(settings.regression.slack_secret, "token", optional=True)
        environment["FLAMEPLANE_SLACK_TOKEN"] = secret
    folder = "/etc/flameplane/catalog"
    program = Program(
        image=job.image,
        arguments=(
            *(argument.format(correlation=settings.correlation) for argument in _told(job, settings)),
            *(f"--catalog={folder}", f"--gateway={GATEWAY_URL}", f"--gateway-token={TOKEN}/token"),
            *([f"--lease=flameplane-{job.name}"] if job.alone else []),
        ),
        size=("100m", job.memory, "1", job.memory),
        environment=environment,
        mounts={
            **{f"catalog-{name}": f"{folder}/{name}" for name in ("organisation", *teams)},
            "gateway-token": TOKEN,
            "tmp": "/tmp",  # noqa: S108
            **({"api-token": API_TOKEN} if job.alone else {}),
        },
    )
    schedule = {"schedule": job.schedule, "timeZone": "Etc/UTC", "concurrencyPolicy": "Forbid"}
    history = {"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 3}
    return Workload(
        "CronJob",
        user(65532),
        {"job": program},
        {
            **schedule,
            **history,
            "startingDeadlineSeconds": job.late_seconds,
            "jobTemplate": {"spec": {"activeDeadlineSeconds": job.deadline_seconds, "backoffLimit": 1}},
        },
        {"restartPolicy": "Never"},
        budget=False,
    )
