"""Every effective value of a service and where it came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flameplane.catalog.sources import Sources
from flameplane.catalog.tree import Path, show_path
from flameplane.findings import Location
from schemas.service import Service


@dataclass(frozen=True)
class Effective:
    """One value, the place it was written at, or None for a built-in default."""

    path: str
    value: Any
    origin: Location | None


def explain(service: Service, sources: Sources) -> list[Effective]:
    """The values in the order of the format; lists are one value, since inheritance replaces them whole."""
    document = service.model_dump(mode="json", by_alias=True)
    return [
        Effective(show_path(path), value, sources.origin("service", service.name, show_path(path)))
        for path, value in _leaves(document, ())
    ]


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield path, value
