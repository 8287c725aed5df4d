"""What one run of the program declared: plain data, the input of everything else in this package."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Log:
    """One message the program sent to the engine."""

    severity: Literal["info", "warning", "error"]
    message: str
    urn: str | None = None


@dataclass(frozen=True)
class Resource:
    """One registered resource, after all transforms and with what it inherits from its parent.

    ``inputs`` is plain Python; what only the cloud knows is ``UNKNOWN``, what is secret is wrapped in ``Secret``.
    ``outputs`` is what a component gave to ``register_outputs``; other resources have none before they are applied.
    ``source`` is file (relative to the project root) and line of the user's call.
    """

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    parent: str | None = None
    dependencies: tuple[str, ...] = ()
    protect: bool = False
    aliases: tuple[str, ...] = ()
    provider: str | None = None
    source: tuple[str, int] | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    retain_on_delete: bool = False
    deleted_with: str | None = None
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    custom_timeouts: dict[str, str] = field(default_factory=dict)
    version: str = ""
    plugin_download_url: str = ""
    replace_with: tuple[str, ...] = ()
    hide_diffs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """One run of the program. ``resources``: parents before children, otherwise by URN, so that the order is stable.

    ``config`` is what the program got as ``PULUMI_CONFIG``, ``output`` what it wrote to stdout and stderr, ``services``
    the services tree that stood in for the project's own.
    ``seconds`` is the wall time of the run, ``cpu_seconds`` and ``peak_rss_mb`` are the program's own.
    """

    project: str
    stack: str
    organization: str
    config: dict[str, str]
    resources: tuple[Resource, ...]
    logs: tuple[Log, ...] = ()
    output: str = ""
    services: Path | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_rss_mb: float = 0.0

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        """The resources by URN."""
        return {r.urn: r for r in self.resources}

    def ancestors(self, resource: Resource) -> list[Resource]:
        """Parent, grandparent and so on, nearest first."""
        found = []
        while resource.parent and (parent := self.by_urn.get(resource.parent)):
            found.append(parent)
            resource = parent
        return found

    def provider_of(self, resource: Resource) -> Resource | None:
        """The explicit provider that manages a resource."""
        return self.by_urn.get(resource.provider.rpartition("::")[0]) if resource.provider else None


class ProgramFailed(Exception):
    """The program did not come to its end. ``message`` is for the user; ``findings_text`` is what the program wrote to
    stderr, word for word: usually findings about the declarations it read."""

    def __init__(self, message: str, findings_text: str = "") -> None:
        super().__init__(message)
        self.message, self.findings_text = message, findings_text
