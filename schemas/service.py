"""service.yaml v1: what a service team declares. These models are the single source of the published JSON Schema."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from schemas.allowed import EBPF_TYPES, INJECTED_LANGUAGES, PROFILE_TYPES, SAMPLE_RATE_HZ
from schemas.base import (
    UNIQUE,
    ApiVersion,
    Conflict,
    Model,
    Name,
    Namespace,
    Positive,
    Slack,
    form,
    means,
    refuse,
)
from schemas.forms import Folder, LabelKey, LabelValue, Prefix, PromQl, RepositoryUrl
from schemas.language import Go, Language

__all__ = [
    "Budget",
    "Gate",
    "Go",
    "Labels",
    "Language",
    "Minutes",
    "ProfileType",
    "Profiling",
    "Service",
    "ServiceSpec",
    "TopN",
]

TopN = Annotated[int, Field(ge=1, le=50)]
Minutes = Annotated[int, Field(ge=1, le=60)]
ProfileType = Literal["cpu", "alloc", "mutex", "block", "goroutine", "wall", "offcpu"]
_TYPES = means(
    cpu="Time on a processor, of every language.",
    alloc="Memory allocated: bytes and objects (go, java, node).",
    mutex="Waiting for contended locks (go, java).",
    block="Waiting on channels, locks and conditions (go).",
    goroutine="Goroutines by where they are (go).",
    wall="Elapsed time, waiting included (java, node, python).",
    offcpu="Time off the processor, waiting for I/O, locks or a turn; by the node agent, of every language.",
)


class Metadata(Model):
    """Who the service is and who answers for it."""

    name: Name = Field(
        description="Name of the service, unique in the organisation and equal to the folder the file lies in; "
        "profiles carry it as `service_name`.",
        examples=["checkout"],
    )
    team: Name = Field(
        description="Owning team: the folder above the service's, and the tenant its profiles go to.",
        examples=["payments"],
    )
    repository: RepositoryUrl = Field(
        description="Git repository of the source; blame and the CI gate are bound to it. The host has to be one of "
        "the organisation's `repositoryHosts`.",
        examples=["https://git.example.com/acme/checkout"],
    )
    slack: Slack | None = Field(
        default=None,
        description="Channel for this service's alerts; the team's when absent.",
        examples=["#payments-perf"],
    )


class Workload(Model):
    """Which pods are the service."""

    namespace: Namespace = Field(description="Kubernetes namespace of the pods.", examples=["payments"])
    selector: dict[LabelKey, LabelValue] = Field(
        min_length=1,
        description="Pod labels that select the pods, all of which must match. No two services may claim a pod.",
        examples=[{"app.kubernetes.io/name": "checkout"}],
    )


class Profiling(Model):
    """What is sampled, and how often."""

    sample_rate_hz: int = Field(
        default=99,
        ge=SAMPLE_RATE_HZ[0],
        le=SAMPLE_RATE_HZ[1],
        description="CPU samples per second and core: 99 is the default, 19 the cheap baseline tier, 0 is off. "
        "The node agent has one base rate of 99 Hz and thins it per service; a change takes effect without a restart.",
        examples=[99, 19, 0],
    )
    types: Annotated[list[Annotated[ProfileType, Field(json_schema_extra=_TYPES)]], UNIQUE] = Field(
        default=["cpu"],
        min_length=1,
        description="Profile types. `cpu` and `offcpu` come from the node agent for every language; the others need "
        "what the language's own profilers deliver: "
        + "; ".join(
            f"{language} {', '.join(t for t in types if t not in EBPF_TYPES)}"
            for language, types in PROFILE_TYPES.items()
            if set(types) - set(EBPF_TYPES)
        )
        + ".",
        examples=[["cpu", "alloc"]],
    )
    cpu_source: Literal["ebpf", "agent"] = Field(
        default="ebpf",
        description="The one source of CPU profiles, since two would count twice: `ebpf` is the node agent, `agent` "
        f"the one inside the process ({', '.join(INJECTED_LANGUAGES)}).",
        examples=["ebpf"],
        json_schema_extra=means(
            ebpf="The node agent: nothing in the process, every language.",
            agent="The language's own profiler inside the process: names of inlined and interpreted code.",
        ),
    )


class Labels(Model):
    """Pod labels or annotations that version, commit and track are read from."""

    version: LabelKey = Field(
        default="app.kubernetes.io/version",
        description="Holds the released version.",
        examples=["app.kubernetes.io/version"],
    )
    git_ref: LabelKey = Field(
        default="flameplane.dev/git-ref",
        description="Holds the full 40-hex git commit.",
        examples=["flameplane.dev/git-ref"],
    )
    track: LabelKey = Field(
        default="flameplane.dev/track",
        description="Holds the track: by default `stable` or `canary`, see `gate`.",
        examples=["flameplane.dev/track"],
    )


class Source(Model):
    """Where the source is, for blame and for owned self time."""

    root_path: Folder = Field(
        default=".",
        description="Folder of the service inside its repository.",
        examples=["services/checkout"],
    )
    own_prefixes: Annotated[list[Prefix], UNIQUE] = Field(
        default=[],
        description="Prefixes of function or package names that are the service's own code; blame and the gate weigh "
        "it more than libraries.",
        examples=[["git.example.com/acme/checkout"]],
    )


class Requests(Model):
    """How many requests the service answers."""

    query: PromQl = Field(
        description="PromQL for requests per second; gives CPU per request.",
        examples=['sum(rate(http_requests_total{app="checkout"}[5m]))'],
    )


class TrackSelector(Model):
    """Pods of one side of a comparison."""

    track: Annotated[str, form(r"^[a-z0-9-]{1,40}$", "1 to 40 lower-case letters, digits and hyphens")] = Field(
        description="Value of the track label.", examples=["canary"]
    )


class Gate(Model):
    """The regression gate that judges every deploy."""

    top_n: TopN = Field(
        default=5,
        description="A new function among the first N by self CPU fails the gate.",
        examples=[5],
    )
    window_minutes: Minutes = Field(default=5, description="Length of the canary's profile, in minutes.", examples=[5])
    mode: Literal["enforce", "warn", "off"] = Field(
        default="warn",
        description="`enforce` fails the deploy, `warn` only comments, `off` does neither.",
        examples=["enforce"],
        json_schema_extra=means(
            enforce="A regression fails the deploy.", warn="A regression is a comment.", off="Nothing is compared."
        ),
    )
    baseline: TrackSelector = Field(
        default=TrackSelector(track="stable"),
        description="The version compared against.",
        examples=[{"track": "stable"}],
    )
    candidate: TrackSelector = Field(
        default=TrackSelector(track="canary"),
        description="The version under judgement.",
        examples=[{"track": "canary"}],
    )


class Budget(Model):
    """Monthly ceilings; an alert goes out at 80 %."""

    monthly_usd: Positive = Field(
        default=40, description="Ceiling of the profiling cost of the service, USD a month.", examples=[40]
    )
    stored_gb: Positive = Field(
        default=10,
        description="Ceiling of the bytes that the service's profiles occupy in storage, after compaction, GB a month.",
        examples=[10],
    )


class ServiceSpec(Model):
    """The declaration itself. `profiling`, `labels`, `gate` and `budget` may come from the team's or the organisation's
    defaults: maps merge key by key, lists are replaced.
    """

    language: Language = Field(description="Runtime of the service; `name` decides which other keys there are.")
    workload: Workload = Field(description="Which pods are the service.")
    profiling: Profiling = Field(default=Profiling(), description="What is sampled, and how often.")
    labels: Labels = Field(default=Labels(), description="Pod labels that version, commit and track are read from.")
    source: Source = Field(default=Source(), description="Where the source is, for blame and for owned self time.")
    requests: Requests | None = Field(default=None, description="How many requests it answers; gives CPU per request.")
    gate: Gate = Field(default=Gate(), description="The regression gate that judges every deploy.")
    budget: Budget = Field(default=Budget(), description="Monthly ceilings; an alert goes out at 80 %.")

    @model_validator(mode="after")
    def _fields_agree(self) -> "ServiceSpec":
        language, profiling, gate = self.language.name, self.profiling, self.gate
        conflicts = [
            Conflict(
                "030",
                ("profiling", "types", i),
                f"{language} has no {t} profile",
                PROFILE_TYPES[language],
                ("language", "name"),
            )
            for i, t in enumerate(profiling.types)
            if t not in PROFILE_TYPES[language]
        ]
        if profiling.cpu_source == "agent" and language not in INJECTED_LANGUAGES:
            message = f"{language} has no agent inside the process that could deliver CPU profiles"
            conflicts.append(Conflict("031", ("profiling", "cpuSource"), message, ("ebpf",), ("language", "name")))
        if gate.baseline.track == gate.candidate.track:
            message = f"baseline and candidate are both the track {gate.candidate.track}"
            fault, other = ("candidate", "baseline")
            if fault not in gate.model_fields_set:
                fault, other = other, fault
            conflicts.append(Conflict("032", ("gate", fault, "track"), message, (), ("gate", other, "track")))
        refuse([*conflicts, *self._labels_twice()])
        return self

    def _labels_twice(self) -> Iterator[Conflict]:
        """A label that is read as two things. Of two, the one that was written is at fault."""
        keys = self.labels.model_dump(by_alias=True)
        written = {to_camel(name) for name in self.labels.model_fields_set}
        names = sorted(keys, key=lambda name: name in written)  # stable: by default as they are declared
        for i, name in enumerate(names):
            if other := next((n for n in names[:i] if keys[n] == keys[name]), ""):
                message = f"{keys[name]} is the label of {other} already"
                yield Conflict("035", ("labels", name), message, (), ("labels", other))


class Service(Model):
    """service.yaml, version 1: how one service is profiled."""

    api_version: ApiVersion = Field(description="Version of this format.", examples=["flameplane.dev/v1"])
    kind: Literal["Service"] = Field(description="This file declares a service.", examples=["Service"])
    metadata: Metadata = Field(description="Who the service is and who answers for it.")
    spec: ServiceSpec = Field(description="What is profiled, how, and within which limits.")

    @property
    def name(self) -> str:
        """Name of the service, unique in the organisation."""
        return self.metadata.name

    @property
    def team(self) -> str:
        """Owning team and tenant."""
        return self.metadata.team

    @property
    def injected(self) -> bool:
        """Whether an agent goes into the pods: the language has one, and a type or the CPU source asks for it."""
        profiling = self.spec.profiling
        beyond = any(t not in EBPF_TYPES for t in profiling.types)
        asked = profiling.sample_rate_hz > 0 and (beyond or profiling.cpu_source == "agent")
        return self.spec.language.name in INJECTED_LANGUAGES and asked
