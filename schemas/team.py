"""_team.yaml (a team: its people, tenant and defaults) and _org.yaml (the organisation: defaults, floors and ceilings)."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.allowed import RETENTION_DAYS, SAMPLE_RATE_HZ
from schemas.base import ApiVersion, Model, Name, Positive, Slack
from schemas.service import Budget, Gate, Labels, Profiling

Days = Annotated[int, Field(ge=RETENTION_DAYS[0], le=RETENTION_DAYS[1])]
CodeOwner = Annotated[str, StringConstraints(pattern=r"^@[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$")]
Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]


class Retention(Model):
    """How long profiles are kept. Per team, since Pyroscope keeps it per tenant."""

    fine_days: Days = Field(default=30, description="Days at full resolution.")
    downsampled_days: Days = Field(default=90, description="Days as hourly profiles.")


class Defaults(Model):
    """Values for services that do not say otherwise: maps merge with the service's, lists replace."""

    profiling: Profiling | None = None
    labels: Labels | None = None
    gate: Gate | None = None
    budget: Budget | None = None


class TeamMetadata(Model):
    name: Name = Field(description="Name of the team: its folder, and its tenant in the backend.")
    slack: Slack = Field(description="Channel for the alerts of services that name none.")
    owners: list[CodeOwner] = Field(min_length=1, description="Code owners who review the team's files.")


class TeamSpec(Model):
    groups: list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        min_length=1, description="Groups of the identity provider whose members may read the team's profiles."
    )
    retention: Retention = Retention()
    monthly_usd: Positive = Field(default=500, description="Ceiling of the team's profiling cost, USD a month.")
    defaults: Defaults = Defaults()


class Team(Model):
    """_team.yaml, version 1."""

    api_version: ApiVersion
    kind: Literal["Team"]
    metadata: TeamMetadata
    spec: TeamSpec

    @property
    def name(self) -> str:
        """Name of the team, and its tenant."""
        return self.metadata.name


class Limits(Model):
    """Floors and ceilings that no team or service file can override."""

    max_sample_rate_hz: int = Field(default=99, ge=SAMPLE_RATE_HZ[0], le=SAMPLE_RATE_HZ[1])
    max_monthly_usd: Positive = Field(default=200, description="Highest budget a single service may declare.")
    max_stored_gb: Positive = Field(default=10, description="Highest stored GB a month a single service may declare.")
    min_fine_days: Days = 30
    max_downsampled_days: Days = 90
    gate_modes: list[Literal["enforce", "warn", "off"]] = Field(default=["enforce", "warn", "off"], min_length=1)


class OrganisationMetadata(Model):
    name: Name


class OrganisationSpec(Model):
    repository_hosts: list[Host] = Field(min_length=1, description="Git hosts that service repositories may live on.")
    excluded_namespaces: list[Name] = Field(default=[], description="Namespaces whose processes are never sampled.")
    platform_groups: list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        min_length=1, description="Groups of the identity provider whose members run the platform."
    )
    monthly_usd: Positive = Field(default=5000, description="Ceiling of the whole platform's cost, USD a month.")
    defaults: Defaults = Defaults()
    limits: Limits = Limits()


class Organisation(Model):
    """_org.yaml, version 1."""

    api_version: ApiVersion
    kind: Literal["Organisation"]
    metadata: OrganisationMetadata
    spec: OrganisationSpec
