"""The catalog as the jobs find it: effective declarations in a folder per team, mounted from ConfigMaps.

They were checked before they were applied; what does not fit here was written by another version of the platform.
"""

from pathlib import Path
from typing import Final, TypeVar

import yaml
from pydantic import ValidationError

from schemas.base import Model
from schemas.catalog import Catalog
from schemas.service import Service
from schemas.team import Organisation, Team

ORGANISATION: Final = "organisation/organisation.yaml"
TEAM: Final = "team.yaml"

_Kind = TypeVar("_Kind", bound=Model)


class NotMounted(Exception):
    """The folder holds no catalog, or one that cannot be read; the message says what and where."""


def read_mounted(folder: Path) -> Catalog:
    """The organisation, and below a folder per team its ``team.yaml`` and a file per service."""
    if not (folder / ORGANISATION).is_file():
        raise NotMounted(f"{folder} holds no catalog: there is no {ORGANISATION}")
    found = [path.parent for path in sorted(folder.glob(f"*/{TEAM}"))]
    teams = [_read(team / TEAM, Team) for team in found]
    # A mounted ConfigMap keeps its files in `..<date>`, which `*/` does not find, and links to them.
    files = [path for team in found for path in sorted(team.glob("*.yaml")) if path.name != TEAM]
    services = [_read(path, Service) for path in files]
    return Catalog(
        _read(folder / ORGANISATION, Organisation),
        tuple(sorted(teams, key=lambda team: team.name)),
        tuple(sorted(services, key=lambda service: service.name)),
    )


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            at = ".".join(str(part) for part in first["loc"])
            raise NotMounted(f"{path}: {at}: {first['msg']}") from error
        raise NotMounted(f"{path}: {' '.join(str(error).split())}") from error
