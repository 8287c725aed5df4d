"""Programs of this platform run as they were reviewed: with the flags that make them safe, and at all."""

from collections.abc import Iterator

from guards.stack import Guard, Stack
from policies.objects import WORKLOADS, at, containers, label, namespace, pod, texts
from policies.rules.images import is_open
from schemas.allowed import ACCESS_NAMESPACE, NAMESPACES, SYSTEM_NAMESPACE

GATEWAY_FLAGS = ("--listen", "--metrics", "--config", "--ci-gate", "--grants", "--audit")
# How often the jobs run; each one's alert knows when it is late.
SCHEDULES = {
    "flameplane-downsample": "7 * * * *",
    "flameplane-cost-report": "20 5 * * *",
    "flameplane-drift": "*/15 * * * *",
}


def the_gateway_audits_and_asks(stack: Stack) -> Iterator[str]:
    """Each flag once, none more: without --audit nobody is on record, without --ci-gate nobody is held."""
    for gateway in stack.named("Deployment", ACCESS_NAMESPACE, "gateway"):
        (container, *_) = containers(gateway)
        given = sorted(flag.partition("=")[0] for flag in texts(container.body.get("args")))
        if given != sorted(GATEWAY_FLAGS) or container.body.get("command"):
            yield f"{label(gateway)} runs with {container.body.get('command') or ''} {given}"


def the_probe_demands_an_answer_where_people_rely_on_it(stack: Stack) -> Iterator[str]:
    """Ready on a network that enforces nothing, it would tell `pulumi up` that all is well."""
    relied = stack.settings.environment in ("staging", "prod")
    for probe in stack.named("Deployment", SYSTEM_NAMESPACE, "network-probe"):
        (container, *_) = containers(probe)
        if ("--demand" in texts(container.body.get("args"))) != relied:
            yield f"{label(probe)} runs with {list(texts(container.body.get('args')))}"


def programs_are_running(stack: Stack) -> Iterator[str]:
    for manifest in stack.of("Deployment", "StatefulSet"):
        if namespace(manifest) in NAMESPACES and not at(manifest, "spec", "replicas"):
            yield f"{label(manifest)} has replicas {at(manifest, 'spec', 'replicas')}"


def jobs_run_when_they_should(stack: Stack) -> Iterator[str]:
    for job in stack.of("CronJob"):
        name, schedule = job["metadata"]["name"], at(job, "spec", "schedule")
        waiting = any(is_open(str(c.body.get("image"))) for c in containers(job))  # nothing to start yet
        if SCHEDULES.get(name) != schedule or bool(at(job, "spec", "suspend")) != waiting:
            yield f"{label(job)} runs at {schedule}, suspend {at(job, 'spec', 'suspend')}"


def pods_learn_of_no_other_service(stack: Stack) -> Iterator[str]:
    """Service links put a variable per Service of the namespace into every program, and some read them as flags."""
    for manifest in stack.workloads:
        if namespace(manifest) in NAMESPACES and pod(manifest).get("enableServiceLinks") is not False:
            yield f"{label(manifest)} does not set enableServiceLinks: false"


GUARDS = (
    Guard(the_gateway_audits_and_asks, ("Deployment",)),
    Guard(the_probe_demands_an_answer_where_people_rely_on_it, ("Deployment",)),
    Guard(programs_are_running, ("Deployment", "StatefulSet")),
    Guard(jobs_run_when_they_should, ("CronJob",)),
    Guard(pods_learn_of_no_other_service, WORKLOADS),
)
