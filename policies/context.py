"""The environment that the pack judges, as typed values: its settings, and the catalog that reached the cluster.

Rules that compare a document with the one that was reviewed compute the latter from these. Without settings in Pulumi's
configuration (the platform as a part of another program) there is nothing to compare with, and they are silent.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from policies.compare import differences
from policies.declared import Declared, gone, read
from policies.objects import at, name, namespace
from policies.resources import SETTINGS
from policies.rule import Manifest
from schemas.catalog import Catalog
from schemas.grant import FOLDER
from schemas.service import Service
from schemas.settings import Settings
from schemas.team import Organisation, Team

ROOT: Final = Path(__file__).resolve().parents[1]
_MODELS: Final = {model.__name__: model for model in (Organisation, Service, Team)}
_KEYS: Final = frozenset(field.alias or name for name, field in Settings.model_fields.items())


@dataclass(frozen=True)
class Platform:
    """One environment."""

    settings: Settings
    catalog: Catalog
    objects: Mapping[tuple[str, str, str], Manifest]  # by kind, namespace and name

    def find(self, kind: str, where: str, called: str) -> Manifest | None:
        """One object."""
        return self.objects.get((kind, where, called))


def platform(manifests: Sequence[Manifest]) -> Platform | None:
    """The environment; None without settings, or where settings or declarations are refused by other rules.

    Its organisation is the one that is written, where there is one: of a ConfigMap that differs, FP055 tells.
    """
    settings = environment(manifests)
    if settings is None:
        return None
    found = catalog(read(manifests))
    if found and (organisation := written()):
        found = replace(found, organisation=organisation)
    return Platform(settings, found, _by_identity(manifests)) if found and not gone(manifests) else None


def written() -> Organisation | None:
    """The organisation as _org.yaml of the services tree has it, which the program reads by the same variable; None
    where there is none that can be read (findings of `validate`)."""
    file = Path(os.environ.get("FLAMEPLANE_SERVICES") or ROOT / "services") / "_org.yaml"
    return _written(file.read_text()) if file.is_file() else None


def exports() -> dict[str, Any]:
    """Every grant as exports/ has it, by the name of its file. The folder lies beside the services tree, where the
    program looks for it too; what cannot be read is none (findings of `validate`)."""
    tree, found = Path(os.environ.get("FLAMEPLANE_SERVICES") or ROOT / "services"), {}
    for file in sorted((tree.resolve().parent / FOLDER).glob("*.yaml")):
        with suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
            found[file.name] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=4)
def _written(text: str) -> Organisation | None:
    with suppress(yaml.YAMLError, ValidationError):
        return Organisation.model_validate(yaml.safe_load(text))
    return None


def environment(manifests: Sequence[Manifest]) -> Settings | None:
    """The settings; None without any. The program refuses those that are wrong (SET###)."""
    for manifest in manifests:
        if manifest.get("kind") == SETTINGS:
            # Other programs' keys stand in the same configuration.
            own = {key: value for key, value in (manifest.get("spec") or {}).items() if key in _KEYS}
            return _settings(json.dumps(own, sort_keys=True, default=str))
    return None


def catalog(declared: Declared) -> Catalog | None:
    """The declarations as the components had them; None where one of them is none (rule FP055 says so)."""
    organisation = _model(Organisation, declared.organisation)
    teams = [_model(Team, team.body) for team in declared.teams.values()]
    services = [_model(Service, service.body) for service in declared.services]
    if not isinstance(organisation, Organisation):
        return None
    good_teams = tuple(sorted((t for t in teams if isinstance(t, Team)), key=lambda t: t.name))
    good_services = tuple(sorted((s for s in services if isinstance(s, Service)), key=lambda s: s.name))
    complete = len(good_teams) == len(teams) and len(good_services) == len(services)
    # Of the wrong team, or called otherwise than its file: rules FP009 and FP055 say so.
    named = all(isinstance(s, Service) and s.name == d.name for s, d in zip(services, declared.services, strict=True))
    complete = complete and named and {s.team for s in good_services} <= {t.name for t in good_teams}
    return Catalog(organisation, good_teams, good_services) if complete else None


def refusal(kind: type[Organisation | Team | Service], body: Mapping[str, Any]) -> str | None:
    """Why a document is no declaration of this kind, with all that is inherited written out; None: it is one."""
    found = _model(kind, body)
    return found if isinstance(found, str) else None


def _model(kind: type[Any], body: Mapping[str, Any]) -> Any:
    return _validated(kind.__name__, json.dumps(body, sort_keys=True, default=str))


@lru_cache(maxsize=8192)
def _validated(kind: str, text: str) -> Any:
    """The model, or the first reason why there is none: a value that is wrong, or one that was not written out."""
    try:
        found = _MODELS[kind].model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(str(step) for step in first['loc']) or 'it'}: {first['msg']}"
    body, whole = json.loads(text), found.model_dump(by_alias=True, mode="json", exclude_none=True)
    return found if body == whole else next((f"{d.path}: {d}" for d in differences(body, whole)), found)


@lru_cache(maxsize=16)
def _settings(text: str) -> Settings | None:
    try:
        return Settings.model_validate_json(text)
    except ValidationError:
        return None


def _by_identity(manifests: Sequence[Manifest]) -> dict[tuple[str, str, str], Manifest]:
    return {
        (str(m.get("kind")), namespace(m) if at(m, "metadata", "namespace") else "", name(m)): m
        for m in manifests
        if m.get("kind") != SETTINGS
    }
