"""The catalog: everything under services/ after inheritance, as the components and the jobs see it."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from schemas.service import Service
from schemas.team import Organisation, Team


@dataclass(frozen=True)
class Catalog:
    """An organisation, its teams and its services. Teams and services are sorted by name, so that output is stable."""

    organisation: Organisation
    teams: tuple[Team, ...]
    services: tuple[Service, ...]

    def of_team(self, team: str) -> tuple[Service, ...]:
        """Services of one team."""
        return self._by_team.get(team, ())

    @cached_property
    def _by_team(self) -> dict[str, tuple[Service, ...]]:
        by_team = sorted(self.services, key=lambda service: service.team)  # stable: by name within a team
        return {team: tuple(services) for team, services in groupby(by_team, lambda service: service.team)}
