"""What the shell completes: names that are declared, read from the folders alone, so that Tab answers at once."""

from collections.abc import Callable, Iterator
from pathlib import Path

from flameplane.project import NoProject, find_root
from schemas.allowed import LANGUAGES


def services(incomplete: str) -> list[str]:
    """Names of services."""
    return _matching(lambda root: (p.parent.name for p in root.glob("services/*/*/service.yaml")), incomplete)


def teams(incomplete: str) -> list[str]:
    """Names of teams."""
    return _matching(lambda root: (p.parent.name for p in root.glob("services/*/_team.yaml")), incomplete)


def languages(incomplete: str) -> list[str]:
    """Languages of services."""
    return [name for name in LANGUAGES if name.startswith(incomplete)]


def stacks(incomplete: str) -> list[str]:
    """Names of environments."""
    return _matching(lambda root: (p.name[7:-5] for p in root.glob("stacks/Pulumi.?*.yaml")), incomplete)


def _matching(names: Callable[[Path], Iterator[str]], incomplete: str) -> list[str]:
    try:
        return sorted({name for name in names(find_root()) if name.startswith(incomplete)})
    except NoProject:
        return []
