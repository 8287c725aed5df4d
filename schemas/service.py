"""service.yaml v1: what a service team declares. These models are the single source of the published JSON Schema."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from schemas.allowed import EBPF_TYPES, INJECTED_LANGUAGES, PROFILE_TYPES, SAMPLE_RATE_HZ
from schemas.base import ApiVersion, CrossFieldError, Model, Name, Positive, Slack

LabelKey = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
]
LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
RepositoryUrl = Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._-]+){2,}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
ProfileType = Literal["cpu", "alloc", "mutex", "block", "goroutine", "wall", "offcpu"]


class Metadata(Model):
    """Who the service is and who answers for it."""

    name: Name = Field(description="Name of the service; profiles carry it as `service_name`.", examples=["checkout"])
    team: Name = Field(description="Owning team: the folder the file lies in, and the tenant its profiles go to.")
    repository: RepositoryUrl = Field(
        description="Git repository of the source; blame and the CI gate are bound to it.",
        examples=["https://git.example.com/acme/checkout"],
    )
    slack: Slack | None = Field(default=None, description="Channel for this service's alerts; the team's when absent.")


class Go(Model):
    """Go: profiles beyond CPU are scraped from net/http/pprof."""

    name: Literal["go"]
    pprof_port: Port = Field(default=6060, description="Port of the pod that serves /debug/pprof.")


class Java(Model):
    """Java: async-profiler, injected into the pod."""

    name: Literal["java"]


class Node(Model):
    """Node.js: V8's profilers, injected into the pod."""

    name: Literal["node"]


class Python(Model):
    """Python: py-spy's engine, injected into the pod."""

    name: Literal["python"]


class Native(Model):
    """C, C++, Rust and everything else: the eBPF agent alone."""

    name: Literal["native"]


Language = Annotated[Go | Java | Node | Python | Native, Field(discriminator="name")]


class Workload(Model):
    """Which pods are the service."""

    namespace: Name = Field(description="Kubernetes namespace of the pods.")
    selector: dict[LabelKey, LabelValue] = Field(
        min_length=1, description="Pod labels that select the pods, all of which must match.", examples=[{"app": "checkout"}]
    )


class Profiling(Model):
    """What is sampled, and how often."""

    sample_rate_hz: int = Field(
        default=99,
        ge=SAMPLE_RATE_HZ[0],
        le=SAMPLE_RATE_HZ[1],
        description="CPU samples per second and core: 99 is the default, 19 the cheap baseline tier, 0 is off. "
        "The node agent thins its 99 Hz base rate per service; a change takes effect without a restart.",
    )
    types: list[ProfileType] = Field(
        default=["cpu"], min_length=1, description="Profile types; what each language can deliver is listed in the docs."
    )
    cpu_source: Literal["ebpf", "agent"] = Field(
        default="ebpf",
        description="The one source of CPU profiles: `ebpf` (node agent) or `agent` (in-process). Two would count twice.",
    )


class Labels(Model):
    """Pod labels or annotations that version, commit and track are read from."""

    version: LabelKey = Field(default="app.kubernetes.io/version", description="Holds the released version.")
    git_ref: LabelKey = Field(default="flameplane.dev/git-ref", description="Holds the full 40-hex git commit.")
    track: LabelKey = Field(default="flameplane.dev/track", description="Holds `stable` or `canary`.")


class Source(Model):
    """Where the source is, for blame and for owned self time."""

    root_path: str = Field(default=".", min_length=1, description="Folder of the service inside its repository.")
    own_prefixes: list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        default=[], description="Prefixes of function or package names that are the service's own code."
    )


class Requests(Model):
    """How many requests the service answers."""

    query: str = Field(min_length=1, description="PromQL for requests per second; gives CPU per request.")


class TrackSelector(Model):
    """Pods of one side of a comparison."""

    track: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")] = Field(description="Value of the track label.")


class Gate(Model):
    """The regression gate that judges every deploy."""

    top_n: int = Field(default=5, ge=1, le=50, description="A new function among the first N by self CPU fails the gate.")
    window_minutes: int = Field(default=5, ge=1, le=60, description="Length of the canary's profile, in minutes.")
    mode: Literal["enforce", "warn", "off"] = Field(default="warn", description="`enforce` fails the deploy.")
    baseline: TrackSelector = Field(default=TrackSelector(track="stable"), description="The version compared against.")
    candidate: TrackSelector = Field(default=TrackSelector(track="canary"), description="The version under judgement.")


class Budget(Model):
    """Monthly ceilings; an alert goes out at 80 %."""

    monthly_usd: Positive = Field(default=40, description="Ceiling of the profiling cost of the service, USD a month.")
    stored_gb: Positive = Field(default=10, description="Ceiling of stored bytes (after compaction), GB a month.")


class ServiceSpec(Model):
    """The declaration itself. All but `language` and `workload` may come from the team's or the organisation's defaults."""

    language: Language
    workload: Workload
    profiling: Profiling = Profiling()
    labels: Labels = Labels()
    source: Source = Source()
    requests: Requests | None = None
    gate: Gate = Gate()
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _language_delivers_types(self) -> "ServiceSpec":
        language, profiling = self.language.name, self.profiling
        for t in profiling.types:
            if t not in PROFILE_TYPES[language]:
                raise CrossFieldError(("profiling", "types"), t, PROFILE_TYPES[language], f"{language} has no {t} profile")
        if profiling.cpu_source == "agent" and language == "native":
            raise CrossFieldError(("profiling", "cpuSource"), "agent", ("ebpf",), "native services have no language agent")
        if self.gate.baseline.track == self.gate.candidate.track:
            raise CrossFieldError(("gate", "candidate", "track"), self.gate.candidate.track, (), "baseline and candidate are the same track")
        return self


class Service(Model):
    """service.yaml, version 1."""

    api_version: ApiVersion
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec

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
        return self.spec.language.name in INJECTED_LANGUAGES and profiling.sample_rate_hz > 0 and (beyond or profiling.cpu_source == "agent")
