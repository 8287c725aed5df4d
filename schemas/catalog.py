"""The catalog: everything under services/ after inheritance, as the components and the jobs see it."""

from dataclasses import dataclass

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
        return tuple(s for s in self.services if s.team == team)
