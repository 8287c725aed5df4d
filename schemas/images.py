"""images.lock: every image the platform runs, by digest. A digest is never made up: an entry without one is open."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Model, Name, form

Digest = Annotated[str, form(r"^sha256:[0-9a-f]{64}$", "a whole digest: sha256: and 64 hexadecimal digits")]


class Image(Model):
    """One image."""

    repository: Annotated[
        str, form(r"^[a-z0-9._/-]+$", "a path of lower-case letters, digits, dots, hyphens and slashes")
    ] = Field(description="Path below the registry.")
    digest: Digest | None = Field(default=None, description="Absent: the entry is open and `policies` report it.")
    what: str = Field(min_length=1, description="What the image is, and while it is open what it waits for.")
    local: bool = Field(default=False, description="`local/` builds it, so environment local can run it.")


class ImagesLock(Model):
    """images.lock, version 1."""

    version: Literal[1]
    images: dict[Name, Image]

    def reference(self, name: str, registry: str) -> str:
        """Image reference of ``name`` below ``registry``.

        Locked: ``registry/repository@sha256:...``. For images built by ``local/`` the registry is under ``localhost/``
        and the tag is ``local``; an open entry gets the tag ``not-locked``, which no registry serves and which the
        policy pack reports.
        """
        image = self.images[name]
        base = f"{registry}/{image.repository}"
        if not self.runnable(name, registry):
            return f"{base}:not-locked"
        return f"{base}:local" if registry.startswith("localhost/") else f"{base}@{image.digest}"

    def built(self, name: str) -> "ImagesLock":
        """The lock on a machine where ``local/`` builds ``name`` too, from a program that the user gives it."""
        return self.model_copy(
            update={"images": {**self.images, name: self.images[name].model_copy(update={"local": True})}}
        )

    def runnable(self, name: str, registry: str) -> bool:
        """Whether ``name`` can be run from ``registry``: locked by digest, or built here where nothing is pulled."""
        image = self.images[name]
        return image.local if registry.startswith("localhost/") else image.digest is not None
