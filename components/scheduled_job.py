"""What the platform's jobs share: identity, a closed pod, the catalog to read, a schedule that cannot pile up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes.batch.v1 import CronJob
from pulumi_kubernetes.core.v1 import (
    EnvVarArgsDict,
    PodSpecArgsDict,
    VolumeArgsDict,
    VolumeMountArgsDict,
)
from pulumi_kubernetes.networking.v1 import NetworkPolicy, NetworkPolicyEgressRuleArgsDict
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components import network, pods
from components.base import APP_LABEL, Component
from components.pods import SERVICE_PORT, Images
from schemas.allowed import ACCESS_NAMESPACE, SYSTEM_NAMESPACE
from schemas.catalog import Catalog

UID: Final = 65532
CATALOG: Final = "/etc/flameplane/catalog"
GATEWAY_CLIENT: Final = {"flameplane.dev/gateway-client": "true"}  # the gateway lets these pods of the namespace in
GATEWAY_URL: Final = f"http://gateway.{ACCESS_NAMESPACE}.svc:{SERVICE_PORT}"


@dataclass(frozen=True)
class Schedule:
    """When a job runs (UTC), how late it may still start, and how long it may take."""

    cron: str
    late_seconds: int
    deadline_seconds: int


@dataclass(frozen=True)
class ScheduledJobArgs:
    """One job, by default of the image ``jobs``; ``egress`` is what it reaches beside DNS and the gateway.

    ``api_server``, its addresses: then each run holds the Lease of the job's name, so that one by hand and one on time
    exclude each other.
    """

    catalog: Catalog
    images: Images
    arguments: Sequence[str]
    schedule: Schedule
    memory: str
    image: str = "jobs"
    egress: Sequence[NetworkPolicyEgressRuleArgsDict] = field(default=())
    env: Sequence[EnvVarArgsDict] = field(default=())
    api_server: str = ""


class ScheduledJob(Component):
    """CronJob ``flameplane-<name>`` in flameplane-system: an account of its own, and a token for the gateway alone.

    While the image is open in images.lock the job is suspended: each run would leave a pod that can never start.
    """

    def __init__(
        self, layer: str, kind: str, name: str, args: ScheduledJobArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(layer, kind, name, opts)
        app = f"flameplane-{name}"
        self.service_account(SYSTEM_NAMESPACE, app)
        egress = [network.to(network.app(ACCESS_NAMESPACE, "gateway"), SERVICE_PORT), *args.egress]
        if args.api_server:
            egress.append(network.to_api_server(args.api_server))
            self.allow(SYSTEM_NAMESPACE, app, _lock(app))
        NetworkPolicy(
            f"{SYSTEM_NAMESPACE}/{app}",
            metadata=self.metadata(app, SYSTEM_NAMESPACE),
            spec=network.around({APP_LABEL: app}, egress=egress),
            opts=self.options(),
        )
        CronJob(
            f"{SYSTEM_NAMESPACE}/{app}",
            metadata=self.metadata(app, SYSTEM_NAMESPACE),
            spec={
                "schedule": args.schedule.cron,
                "time_zone": "Etc/UTC",
                "concurrency_policy": "Forbid",
                "starting_deadline_seconds": args.schedule.late_seconds,
                "suspend": not args.images.runnable(args.image),
                "successful_jobs_history_limit": 1,
                "failed_jobs_history_limit": 3,
                "job_template": {
                    "spec": {
                        "active_deadline_seconds": args.schedule.deadline_seconds,
                        "backoff_limit": 1,
                        "template": {
                            "metadata": {"labels": {**self.labels(app), **GATEWAY_CLIENT}},
                            "spec": _pod(app, args),
                        },
                    }
                },
            },
            opts=self.options(),
        )
        self.register_outputs({})


def _lock(name: str) -> list[PolicyRuleArgsDict]:
    """Its own Lease; making one cannot be limited to a name, since there is none yet when it is asked for."""
    group, leases = ["coordination.k8s.io"], ["leases"]
    return [
        {"api_groups": group, "resources": leases, "verbs": ["create"]},
        {"api_groups": group, "resources": leases, "verbs": ["get", "update"], "resource_names": [name]},
    ]


def _pod(app: str, args: ScheduledJobArgs) -> PodSpecArgsDict:
    volumes, mounts = _catalog(args.catalog)
    if args.api_server:
        volumes.append(pods.api_token())
        mounts.append({"name": "api-token", "mount_path": pods.API_TOKEN_FOLDER, "read_only": True})
    return {
        "service_account_name": app,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        "security_context": pods.restricted_pod(UID),
        "containers": [
            {
                "name": "job",
                "image": args.images.reference(args.image),
                "image_pull_policy": args.images.pull_policy,
                "args": [
                    *args.arguments,
                    f"--catalog={CATALOG}",
                    f"--gateway={GATEWAY_URL}",
                    f"--gateway-token={pods.TOKEN_FOLDER}/token",
                    *([f"--lease={app}"] if args.api_server else []),
                ],
                "env": list(args.env),
                "security_context": pods.restricted_container(),
                "resources": pods.resources("100m", args.memory, "1", args.memory),
                "volume_mounts": [
                    *mounts,
                    {"name": "gateway-token", "mount_path": pods.TOKEN_FOLDER, "read_only": True},
                    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
                ],
            }
        ],
        "volumes": [*volumes, pods.gateway_token(), {"name": "tmp", "empty_dir": {"size_limit": "1Gi"}}],
    }


def _catalog(catalog: Catalog) -> tuple[list[VolumeArgsDict], list[VolumeMountArgsDict]]:
    """A folder per team: a service that comes or goes changes the team's ConfigMap, not the job."""
    names = ["organisation", *(team.name for team in catalog.teams)]
    volumes: list[VolumeArgsDict] = [
        {"name": f"catalog-{name}", "config_map": {"name": f"catalog-{name}"}} for name in names
    ]
    mounts: list[VolumeMountArgsDict] = [
        {"name": f"catalog-{name}", "mount_path": f"{CATALOG}/{name}", "read_only": True} for name in names
    ]
    return volumes, mounts
