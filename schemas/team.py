"""_team.yaml (a team: its people, tenant and defaults) and _org.yaml (the organisation: defaults and limits)."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from schemas.allowed import LONGEST_KEPT_DAYS, RETENTION_DAYS, SAMPLE_RATE_HZ
from schemas.base import UNIQUE, ApiVersion, Conflict, Model, Name, Namespace, Positive, Slack, refuse
from schemas.forms import CodeOwner, Group, Host
from schemas.service import Budget, Gate, Labels, Minutes, ProfileType, Profiling, TopN

Days = Annotated[int, Field(ge=RETENTION_DAYS[0], le=RETENTION_DAYS[1])]
_KEPT: Final = (
    f"Read for at most {LONGEST_KEPT_DAYS} days: the rest up to {RETENTION_DAYS[1]} is the time that deletion takes."
)


class Retention(Model):
    """How long profiles are kept. Per team, since Pyroscope keeps it per tenant."""

    fine_days: Days = Field(
        default=30,
        description=f"Days at full resolution. {_KEPT}",
        examples=[30],
    )
    downsampled_days: Days = Field(
        default=90,
        description=f"Days as hourly profiles, at least `fineDays`. {_KEPT}",
        examples=[90],
    )

    @model_validator(mode="after")
    def _downsampled_lasts_longer(self) -> "Retention":
        if self.downsampled_days < self.fine_days:
            message = (
                f"hourly profiles are kept {self.downsampled_days} days, shorter than fine ones ({self.fine_days})"
            )
            refuse([Conflict("033", ("downsampledDays",), message, (), ("fineDays",))])
        return self


class Defaults(Model):
    """Values for services that do not say otherwise: maps merge with the service's key by key, lists are replaced."""

    profiling: Profiling | None = Field(default=None, description="What is sampled, and how often.")
    labels: Labels | None = Field(default=None, description="Pod labels that version, commit and track are read from.")
    gate: Gate | None = Field(default=None, description="The regression gate that judges every deploy.")
    budget: Budget | None = Field(default=None, description="Monthly ceilings of a single service.")


class TeamMetadata(Model):
    """Who the team is."""

    name: Name = Field(
        description="Name of the team: its folder below services/, and its tenant in the backend.",
        examples=["payments"],
    )
    slack: Slack = Field(description="Channel for the alerts of services that name none.", examples=["#payments"])
    owners: Annotated[list[CodeOwner], UNIQUE] = Field(
        min_length=1, description="Code owners who review the team's files.", examples=[["@acme/payments"]]
    )


class TeamSpec(Model):
    """What the team decides for all of its services."""

    groups: Annotated[list[Group], UNIQUE] = Field(
        min_length=1,
        description="Groups of the identity provider whose members may read the team's profiles.",
        examples=[["payments-engineers"]],
    )
    retention: Retention = Field(default=Retention(), description="How long the team's profiles are kept.")
    erase: Literal[True] | None = Field(
        default=None,
        description="`true`: every profile of the team is deleted, within a day and for good, and its groups read none "
        "of them meanwhile.",
        examples=[True],
    )
    monthly_usd: Positive = Field(
        default=500, description="Ceiling of the team's profiling cost, USD a month.", examples=[500]
    )
    defaults: Defaults = Field(default=Defaults(), description="Values for services that do not say otherwise.")


class Team(Model):
    """_team.yaml, version 1: a team, its tenant and the defaults of its services."""

    api_version: ApiVersion = Field(description="Version of this format.", examples=["flameplane.dev/v1"])
    kind: Literal["Team"] = Field(description="This file declares a team.", examples=["Team"])
    metadata: TeamMetadata = Field(description="Who the team is.")
    spec: TeamSpec = Field(description="What the team decides for all of its services.")

    @property
    def name(self) -> str:
        """Name of the team, and its tenant."""
        return self.metadata.name


class Limits(Model):
    """Floors and ceilings that no team or service file can override."""

    min_sample_rate_hz: int = Field(
        default=SAMPLE_RATE_HZ[0],
        ge=SAMPLE_RATE_HZ[0],
        le=SAMPLE_RATE_HZ[1],
        description="Lowest sampling rate a service may have; with 0 it may switch profiling off.",
        examples=[0, 19],
    )
    max_sample_rate_hz: int = Field(
        default=99,
        ge=SAMPLE_RATE_HZ[0],
        le=SAMPLE_RATE_HZ[1],
        description="Highest sampling rate a service may have.",
        examples=[99],
    )
    types: Annotated[list[ProfileType], UNIQUE] = Field(
        default=list(get_args(ProfileType)),
        min_length=1,
        description="Profile types that a service may have; `alloc` and `mutex` cost memory in the service itself.",
        examples=[["cpu", "alloc", "offcpu"]],
    )
    max_monthly_usd: Positive = Field(
        default=200, description="Highest budget a single service may declare, USD a month.", examples=[200]
    )
    max_stored_gb: Positive = Field(
        default=10, description="Highest stored GB a month a single service may declare.", examples=[10]
    )
    max_team_monthly_usd: Positive | None = Field(
        default=None, description="Highest budget of a whole team, USD a month; absent: no ceiling.", examples=[1000]
    )
    min_fine_days: Days = Field(
        default=RETENTION_DAYS[0], description="Fewest days of full resolution a team may keep.", examples=[30]
    )
    max_fine_days: Days = Field(
        default=RETENTION_DAYS[1], description="Most days of full resolution a team may keep.", examples=[45]
    )
    min_downsampled_days: Days = Field(
        default=RETENTION_DAYS[0], description="Fewest days of hourly profiles a team may keep.", examples=[60]
    )
    max_downsampled_days: Days = Field(
        default=RETENTION_DAYS[1], description="Most days of hourly profiles a team may keep.", examples=[90]
    )
    min_top_n: TopN = Field(
        default=1,
        description="Lowest `gate.topN` a service may choose: below it, new functions pass unseen.",
        examples=[3],
    )
    max_top_n: TopN = Field(default=50, description="Highest `gate.topN` a service may choose.", examples=[20])
    min_window_minutes: Minutes = Field(
        default=1,
        description="Shortest canary that a service may be judged by: short ones have too few samples.",
        examples=[5],
    )
    max_window_minutes: Minutes = Field(
        default=60, description="Longest canary that a service may be judged by.", examples=[30]
    )
    gate_modes: Annotated[list[Literal["enforce", "warn", "off"]], UNIQUE] = Field(
        default=["enforce", "warn", "off"],
        min_length=1,
        description="Modes of the gate that a service may choose.",
        examples=[["enforce", "warn"]],
    )

    @model_validator(mode="after")
    def _floors_below_ceilings(self) -> "Limits":
        pairs = ("sample_rate_hz", "fine_days", "downsampled_days", "top_n", "window_minutes")
        conflicts = []
        for name in pairs:
            floor, ceiling = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if floor > ceiling:
                low, high = to_camel(f"min_{name}"), to_camel(f"max_{name}")
                message = f"{low} is {floor}, above {high} ({ceiling}): no value could satisfy both"
                conflicts.append(Conflict("034", (low,), message, (f"at most {ceiling}",), (high,)))
        fine, hourly = self.min_fine_days, self.max_downsampled_days
        if hourly < fine <= self.max_fine_days and self.min_downsampled_days <= hourly:
            message = (
                f"minFineDays is {fine}, above maxDownsampledDays ({hourly}): hourly profiles are kept as long as "
                "fine ones, or longer"
            )
            conflicts.append(
                Conflict("034", ("minFineDays",), message, (f"at most {hourly}",), ("maxDownsampledDays",))
            )
        refuse(conflicts)
        return self


class OrganisationMetadata(Model):
    """Who the organisation is."""

    name: Name = Field(description="Name of the organisation.", examples=["acme"])
    owners: Annotated[list[CodeOwner], UNIQUE] = Field(
        default=[],
        description="Code owners who review what concerns everybody: this file, policies, waivers, exports, stacks and "
        "images.lock. CODEOWNERS is generated from them and from the teams' owners.",
        examples=[["@acme/platform"]],
    )


class Undeclared(Model):
    """What becomes of pods that no service declares: anybody's, so only those who run the platform may read them."""

    team: Name = Field(
        description="Team whose tenant their profiles are in: one without services, whose groups are all in "
        "`platformGroups`.",
        examples=["platform"],
    )
    sample_rate_hz: int = Field(
        default=19,
        ge=1,
        le=SAMPLE_RATE_HZ[1],
        description="CPU samples per second and core; to take none, leave the whole section out.",
        examples=[19],
    )


class OrganisationSpec(Model):
    """What the organisation decides for everybody."""

    repository_hosts: Annotated[list[Host], UNIQUE] = Field(
        min_length=1, description="Git hosts that service repositories may live on.", examples=[["git.example.com"]]
    )
    excluded_namespaces: Annotated[list[Namespace], UNIQUE] = Field(
        default=[], description="Namespaces whose processes are never sampled.", examples=[["vault"]]
    )
    platform_groups: Annotated[list[Group], UNIQUE] = Field(
        min_length=1,
        description="Groups of the identity provider whose members run the platform.",
        examples=[["platform-engineers"]],
    )
    undeclared: Undeclared | None = Field(
        default=None,
        description="Pods of no declared service, and the node's own processes; absent: they are not sampled.",
    )
    monthly_usd: Positive = Field(
        default=5000, description="Ceiling of the whole platform's cost, USD a month.", examples=[5000]
    )
    defaults: Defaults = Field(
        default=Defaults(), description="Values for services whose file and team do not say otherwise."
    )
    limits: Limits = Field(
        default=Limits(), description="Floors and ceilings that no team or service file can override."
    )


class Organisation(Model):
    """_org.yaml, version 1: the organisation's defaults, floors and ceilings."""

    api_version: ApiVersion = Field(description="Version of this format.", examples=["flameplane.dev/v1"])
    kind: Literal["Organisation"] = Field(description="This file declares the organisation.", examples=["Organisation"])
    metadata: OrganisationMetadata = Field(description="Who the organisation is.")
    spec: OrganisationSpec = Field(description="What the organisation decides for everybody.")
