"""Agents inside the applications: one policy per language, and two objects per service that asks for one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.admissionregistration.v1 import MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding
from pulumi_kubernetes.core.v1 import ConfigMap

from components.base import Component
from components.inject_policy import policy_spec
from components.network import NAMESPACE_LABEL
from components.pods import Images
from schemas.allowed import EBPF_TYPES, INJECTED_LANGUAGES, SYSTEM_NAMESPACE
from schemas.catalog import Catalog
from schemas.service import Service


@dataclass(frozen=True)
class LanguageAgentsArgs:
    """Services, images, and where the agents send their profiles."""

    catalog: Catalog
    images: Images
    receiver_url: str


class LanguageAgents(Component):
    """Injection by MutatingAdmissionPolicy: no webhook server that could be down.

    A pod is never changed towards an image that cannot be run: services get their binding only once the image of their
    language is locked (or built by ``local/``). Output: ``injected``, the services that have one.
    """

    injected: tuple[str, ...]

    def __init__(self, name: str, args: LanguageAgentsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("collection", "LanguageAgents", name, opts)
        policies = {language: self._policy(language, args.images) for language in INJECTED_LANGUAGES}
        self._anchor(policies[INJECTED_LANGUAGES[0]])
        services = [service for service in args.catalog.services if service.injected]
        runnable = [s for s in services if args.images.runnable(f"inject-{s.spec.language.name}")]
        for service in runnable:
            self._service(service, policies[service.spec.language.name], args.receiver_url)
        self.injected = tuple(service.name for service in runnable)
        self.register_outputs({"injected": list(self.injected)})

    def _policy(self, language: str, images: Images) -> MutatingAdmissionPolicy:
        name = f"flameplane-inject-{language}"
        return MutatingAdmissionPolicy(
            name, metadata=self.metadata(name), spec=policy_spec(language, images), opts=self.options()
        )

    def _anchor(self, policy: MutatingAdmissionPolicy) -> None:
        """A binding that matches no pod, and always stays.

        When the last binding that takes a ConfigMap as parameter goes, the API server (1.36) stops watching them and
        never starts again: services added later would not be injected, silently, until it restarts.
        """
        name = "flameplane-inject-anchor"
        MutatingAdmissionPolicyBinding(
            name,
            metadata=self.metadata(name, app="inject"),
            spec={
                "policy_name": f"flameplane-inject-{INJECTED_LANGUAGES[0]}",
                "param_ref": {
                    "name": "catalog-organisation",
                    "namespace": SYSTEM_NAMESPACE,
                    "parameter_not_found_action": "Allow",
                },
                "match_resources": {
                    "namespace_selector": {"match_labels": {NAMESPACE_LABEL: SYSTEM_NAMESPACE}},
                    "object_selector": {"match_labels": {"flameplane.dev/inject-anchor": "never"}},
                },
            },
            opts=self.options([policy]),
        )

    def _service(self, service: Service, policy: MutatingAdmissionPolicy, receiver_url: str) -> None:
        name = f"inject-{service.name}"
        parameters = ConfigMap(
            f"{SYSTEM_NAMESPACE}/{name}",
            metadata=self.metadata(name, SYSTEM_NAMESPACE, app="inject", service=service),
            data={"env": "".join(f"{key}={value}\n" for key, value in _environment(service, receiver_url))},
            opts=self.options(),
        )
        workload = service.spec.workload
        MutatingAdmissionPolicyBinding(
            f"flameplane-{name}",
            metadata=self.metadata(f"flameplane-{name}", app="inject", service=service),
            spec={
                "policy_name": f"flameplane-inject-{service.spec.language.name}",
                # By name: a selector that finds many parameters would be evaluated once for each of them.
                "param_ref": {"name": name, "namespace": SYSTEM_NAMESPACE, "parameter_not_found_action": "Allow"},
                "match_resources": {
                    "namespace_selector": {"match_labels": {NAMESPACE_LABEL: workload.namespace}},
                    "object_selector": {"match_labels": workload.selector},
                },
            },
            opts=self.options([policy, parameters]),
        )


def _environment(service: Service, receiver_url: str) -> Iterator[tuple[str, str]]:
    """What the agent is told. Java's is a published program and takes its own names; the others are ours."""
    profiling = service.spec.profiling
    types = [t for t in profiling.types if t not in EBPF_TYPES]
    if profiling.cpu_source == "agent" and "cpu" in profiling.types:
        types.insert(0, "cpu")
    if service.spec.language.name == "java":
        yield from _java(service.name, types, profiling.sample_rate_hz, receiver_url)
        return
    yield "FLAMEPLANE_SERVICE", service.name
    yield "FLAMEPLANE_RECEIVER", receiver_url
    yield "FLAMEPLANE_TYPES", ",".join(types)
    yield "FLAMEPLANE_SAMPLE_RATE_HZ", str(profiling.sample_rate_hz)


# async-profiler's event per profile type: the first of them that is wanted drives it, the others ride along.
_EVENTS = {"cpu": "itimer", "wall": "wall", "alloc": "alloc", "mutex": "lock"}
_WALL = "50ms"  # every thread is sampled, running or not: at the CPU rate it would be the heaviest profile of all


def _java(name: str, types: Sequence[str], hz: int, receiver_url: str) -> Iterator[tuple[str, str]]:
    event = next(t for t in _EVENTS if t in types)
    interval = _WALL if event == "wall" else f"{round(1000 / hz)}ms"
    # 3: neither system properties nor the command line, which hold passwords, go into each upload.
    extra = ["jfropts=3"]
    if "wall" in types and event != "wall":
        extra.append(f"wall={_WALL}")
    yield "PYROSCOPE_APPLICATION_NAME", name
    yield "PYROSCOPE_SERVER_ADDRESS", receiver_url
    yield "PYROSCOPE_FORMAT", "jfr"
    yield "PYROSCOPE_UPLOAD_INTERVAL", "15s"
    yield "PYROSCOPE_PROFILER_EVENT", _EVENTS[event]
    yield "PYROSCOPE_PROFILING_INTERVAL", interval
    if "alloc" in types:
        yield "PYROSCOPE_PROFILER_ALLOC", "512k"
    if "mutex" in types:
        yield "PYROSCOPE_PROFILER_LOCK", "10ms"
    yield "PYROSCOPE_AP_EXTRA_ARGUMENTS", ",".join(extra)
