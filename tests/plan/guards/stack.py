"""What a guard sees: all objects of an environment, and what they were made from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from policies.objects import WORKLOADS, name, namespace
from policies.rule import Manifest
from schemas.catalog import Catalog
from schemas.images import ImagesLock
from schemas.settings import Settings


@dataclass(frozen=True)
class Stack:
    """One environment."""

    manifests: tuple[Manifest, ...]
    settings: Settings
    catalog: Catalog
    lock: ImagesLock

    def of(self, *kinds: str) -> list[Manifest]:
        """The objects of some kinds."""
        return [m for m in self.manifests if m["kind"] in kinds]

    @cached_property
    def workloads(self) -> list[Manifest]:
        """Everything that makes pods."""
        return self.of(*WORKLOADS)

    def named(self, kind: str, where: str, called: str) -> list[Manifest]:
        """The object of a kind, namespace and name; an empty list when it is not declared."""
        return [m for m in self.of(kind) if name(m) == called and namespace(m) == where]

    def has(self, kind: str, where: str, called: str) -> bool:
        """Whether an object is declared."""
        return bool(self.named(kind, where, called))

    def with_(self, manifests: Sequence[Manifest]) -> "Stack":
        """The same environment with other objects."""
        return replace(self, manifests=tuple(manifests))


@dataclass(frozen=True)
class Guard:
    """One named check, and the kinds whose change can break it."""

    check: Callable[[Stack], Iterator[str]]
    kinds: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the function: what a failure is called."""
        return self.check.__name__
