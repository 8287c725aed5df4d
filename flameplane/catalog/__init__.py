"""Declared files: read strictly, checked against the models, with inheritance applied and every value's origin kept."""

from flameplane.catalog.grants import LoadedGrants, load_grants
from flameplane.catalog.loading import Loaded, load
from flameplane.catalog.settings import LoadedSettings, check_settings, load_settings, stacks
from flameplane.catalog.sources import Sources

__all__ = [
    "Loaded",
    "LoadedGrants",
    "LoadedSettings",
    "Sources",
    "check_settings",
    "load",
    "load_grants",
    "load_settings",
    "stacks",
]
