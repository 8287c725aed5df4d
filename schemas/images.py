"""images.lock: every image the platform runs, by digest. A digest is never made up: an entry without one is open."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.base import Model, Name

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Image(Model):
    """One image."""

    repository: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._/-]+$")] = Field(description="Path below the registry.")
    digest: Digest | None = Field(default=None, description="Absent: the entry is open and `policies` report it.")
    what: str = Field(min_length=1, description="What the image is, and while it is open what it waits for.")
    local: bool = Field(default=False, description="`local/` builds it, so environment local can run it.")


class ImagesLock(Model):
    """images.lock, version 1."""

    version: Literal[1]
    images: dict[Name, Image]

    def reference(self, name: str, registry: str) -> str:
        """Image reference of ``name`` below ``registry``.

        Locked: ``registry/repository@sha256:...``. For images built by ``local/`` the registry is under ``localhost/`` and the
        tag is ``local``; an open entry gets the tag ``not-locked``, which no registry serves and which the policy pack reports.
        """
        image = self.images[name]
        base = f"{registry}/{image.repository}"
        if not self.runnable(name, registry):
            return f"{base}:not-locked"
        return f"{base}:local" if registry.startswith("localhost/") else f"{base}@{image.digest}"

    def runnable(self, name: str, registry: str) -> bool:
        """Whether ``name`` can be run from ``registry``: locked by digest, or built by ``local/`` where nothing is pulled."""
        image = self.images[name]
        return image.local if registry.startswith("localhost/") else image.digest is not None
