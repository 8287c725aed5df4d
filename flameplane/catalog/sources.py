"""Where every effective value came from."""

from dataclasses import dataclass, field
from typing import Literal

from flameplane.catalog.tree import Node, parse_path
from flameplane.findings import Location

Kind = Literal["service", "team", "organisation", "settings"]


@dataclass
class Sources:
    """Effective trees, whose nodes keep the place they were written at, and the file of each declaration."""

    trees: dict[tuple[Kind, str], Node] = field(default_factory=dict)
    files: dict[tuple[Kind, str], str] = field(default_factory=dict)

    def add(self, kind: Kind, name: str, file: str, tree: Node) -> None:
        """Remember a declaration; of two with one name, the first."""
        self.trees.setdefault((kind, name), tree)
        self.files.setdefault((kind, name), file)

    def origin(self, kind: Kind, name: str, path: str) -> Location | None:
        """Where the effective value at ``path`` was written, in whichever file; None for a built-in default."""
        tree = self.trees.get((kind, name))
        node = tree.find(parse_path(path)) if tree else None
        return node.where if node else None

    def locate(self, kind: Kind, name: str, path: str) -> Location | None:
        """As `origin`; of a built-in default the first line of the declaration's own file; None for an unknown name.

        ``path`` is like ``spec.profiling.sampleRateHz`` or ``spec.workload.selector["app.kubernetes.io/name"]``.
        """
        file = self.files.get((kind, name))
        return self.origin(kind, name, path) or (Location(file, 1, 1) if file else None)
