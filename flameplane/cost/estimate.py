"""The model applied to what is declared: a monthly estimate per service, team and for the whole platform."""

from dataclasses import dataclass

from flameplane.cost import constants as c
from flameplane.cost import model
from flameplane.cost.model import Writes
from schemas.catalog import Catalog
from schemas.service import Service
from schemas.settings import Settings
from schemas.team import Team

ONE_PROCESS_WRITERS = 1


@dataclass(frozen=True)
class ServiceCost:
    """Storage of one service: GB once retention has filled up, USD a month. ``ceiling_*`` are its declared budget."""

    name: str
    team: str
    stored_gb: float
    usd: float
    ceiling_gb: float
    ceiling_usd: float


@dataclass(frozen=True)
class TeamCost:
    """A team: its services, and the blocks that its tenant makes Pyroscope write."""

    name: str
    stored_gb: float
    usd: float
    ceiling_usd: float


@dataclass(frozen=True)
class Estimate:
    """One environment. ``shared_usd``: segments, in which the profiles of all tenants lie together."""

    services: tuple[ServiceCost, ...]
    teams: tuple[TeamCost, ...]
    shared_usd: float
    ceiling_usd: float
    assumptions: tuple[str, ...]

    @property
    def stored_gb(self) -> float:
        """GB of all services."""
        return sum(team.stored_gb for team in self.teams)

    @property
    def usd(self) -> float:
        """USD a month of all teams and of what they share."""
        return sum(team.usd for team in self.teams) + self.shared_usd


def estimate(catalog: Catalog, settings: Settings) -> Estimate:
    """What ``catalog`` costs in the environment of ``settings``. An object storage of our own has no S3 bill."""
    teams = {team.name: team for team in catalog.teams}
    bill = settings.backend.object_storage.kind == "s3"
    writes = writes_of(settings)
    pods = settings.backend.pods_per_service
    services = tuple(_service(s, teams[s.team], pods, bill) for s in catalog.services)
    costs = tuple(_team(team, catalog, services, writes if bill else None) for team in catalog.teams)
    shared = model.requests_usd(model.segment_puts(writes)) if bill else 0.0
    return Estimate(services, costs, shared, catalog.organisation.spec.monthly_usd, _assumptions(catalog, pods, bill))


def writes_of(settings: Settings) -> Writes:
    """How often this environment's backend writes."""
    backend = settings.backend
    writers = backend.writes.writers if backend.architecture == "microservices" else ONE_PROCESS_WRITERS
    return Writes(writers, backend.writes.tokens, _seconds(backend.writes.segment_duration))


def _service(service: Service, team: Team, pods: int, bill: bool) -> ServiceCost:
    profiling, retention = service.spec.profiling, team.spec.retention
    types, rate, days = profiling.types, profiling.sample_rate_hz, retention.downsampled_days
    fine = model.fine_gb(types, rate, retention.fine_days, pods)
    recent = model.hourly_gb(types, rate, 0, min(days, c.INFREQUENT_AFTER_DAYS))
    old = model.hourly_gb(types, rate, c.INFREQUENT_AFTER_DAYS, days)
    usd = model.storage_usd(fine + recent, old) if bill else 0.0
    budget = service.spec.budget
    return ServiceCost(service.name, service.team, fine + recent + old, usd, budget.stored_gb, budget.monthly_usd)


def _team(team: Team, catalog: Catalog, services: tuple[ServiceCost, ...], writes: Writes | None) -> TeamCost:
    own = [s for s in services if s.team == team.name]
    active = sum(s.spec.profiling.sample_rate_hz > 0 for s in catalog.of_team(team.name))
    blocks = model.requests_usd(model.block_puts(active, writes)) if writes else 0.0
    stored = sum(s.stored_gb for s in own)
    return TeamCost(team.name, stored, sum(s.usd for s in own) + blocks, team.spec.monthly_usd)


def _assumptions(catalog: Catalog, pods: int, bill: bool) -> tuple[str, ...]:
    """What the figures rest on beside the declarations, in words."""
    used = {(s.spec.language.name, t) for s in catalog.services for t in s.spec.profiling.types}
    assumed = len(used - c.MEASURED)
    lines = [f"{pods} pods with {c.CORES_PER_POD:g} busy core each per service: backend.podsPerService, not counted"]
    if assumed:
        lines.append(
            f"bytes measured for Go (cpu, alloc), assumed alike for {assumed} other pairs of language and type"
        )
    lines.append("list prices of us-east-1" if bill else "own object storage: no S3 bill, only bytes")
    return (*lines, f"not included: {c.NOT_INCLUDED}")


def _seconds(duration: str) -> float:
    """``500ms`` or ``2s``."""
    return float(duration[:-2]) / 1000 if duration.endswith("ms") else float(duration.removesuffix("s"))
