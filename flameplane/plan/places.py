"""Places that findings point at: the Python call that made a resource, and the declaration a message names."""

import linecache
import re
from pathlib import Path
from typing import Final, get_args

from flameplane.catalog.sources import Kind, Sources
from flameplane.findings import Location
from flameplane.plan.recording import Resource

# The end of a policy message about a declaration, e.g. `[declared: team/payments spec.retention.fineDays]`.
_DECLARED: Final = re.compile(
    rf"\s*\[declared: (?P<kind>{'|'.join(get_args(Kind))})/(?P<name>\S+) (?P<path>[^\]]*\S)\]\s*$"
)


def python_line(resource: Resource, root: Path) -> Location | None:
    """The call that made ``resource``; None when it does not lie in the project."""
    if resource.source is None:
        return None
    file, line = resource.source
    text = linecache.getline(str(root / file), line)
    start = len(text) - len(text.lstrip())
    end = text.find("(", start)
    return Location(file, line, start + 1, end + 1 if end > start else None)


def declaration(message: str, sources: Sources) -> tuple[str, Location | None]:
    """The message without its ``[declared: ...]``, and the line of the file that declares it."""
    found = _DECLARED.search(message)
    if not found:
        return message, None
    kind, name, path = found["kind"], found["name"], found["path"]
    return message[: found.start()], sources.locate(kind, name, path)  # type: ignore[arg-type]
