"""images.lock: every image the platform runs, by digest. A digest is never made up: an entry without one is open."""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from schemas.base import Conflict, Model, Name, form, refuse

# What the components ask for. A name that is not here is read by nobody.
NAMES: Final = (
    "agent",
    "receiver",
    "gateway",
    "network-probe",
    "downsample",
    "jobs",
    "inject-java",
    "inject-node",
    "inject-python",
    "devstore",
    "pyroscope",
    "egress-proxy",
    "grafana",
    "seaweedfs",
    "demo-go",
    "demo-java",
    "demo-node",
    "demo-python",
)
# Of environment local alone; every other one is also pulled, by digest.
LOCAL_ONLY: Final = ("devstore", "seaweedfs", "demo-go", "demo-java", "demo-node", "demo-python")
# A repository's name as registries take it (OCI distribution specification 1.1, "Pulling manifests").
_PART: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY: Final = rf"^{_PART}(/{_PART})*$"
Digest = Annotated[str, form(r"^sha256:[0-9a-f]{64}$", "a whole digest: sha256: and 64 hexadecimal digits")]


class Image(Model):
    """One image."""

    repository: Annotated[
        str,
        form(
            REPOSITORY,
            "a path of lower-case letters and digits, with dots, underscores and hyphens only between them",
        ),
    ] = Field(description="Path below the registry.")
    digest: Digest | None = Field(default=None, description="Absent: the entry is open and `policies` report it.")
    what: str = Field(min_length=1, description="What the image is, and while it is open what it waits for.")
    local: bool = Field(default=False, description="`local/` builds it, so environment local can run it.")


class ImagesLock(Model):
    """images.lock, version 1."""

    version: Literal[1]
    images: dict[Name, Image]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Every image, and no other. A misspelt name is one mistake, not an unknown entry and a missing one."""
        missing = [name for name in NAMES if name not in self.images]
        conflicts = []
        for name in self.images:
            if name in NAMES:
                continue
            meant = get_close_matches(name, missing, n=1)
            missing = [each for each in missing if each not in meant]
            hint = f"; did you mean {meant[0]}?" if meant else ""
            conflicts.append(Conflict("020", ("images", name), f'nothing runs an image "{name}"{hint}'))
        if missing:
            message = f"images has no entry for {', '.join(missing)}"
            conflicts.append(Conflict("021", ("images",), message, reads=tuple(("images", name) for name in missing)))
        refuse(conflicts)
        return self

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


def read_lock(file: Path) -> ImagesLock:
    """The file as it is written. Raises ``OSError`` and ``pydantic.ValidationError``."""
    if file.exists() and not file.is_file():
        raise OSError(f"{file.name} is no ordinary file")  # a pipe would be waited for
    return ImagesLock.model_validate_json(file.read_bytes())


def lock_here(file: Path) -> ImagesLock:
    """The lock as the program takes it on this machine: who has a Pyroscope binary has its image built here too."""
    lock = read_lock(file)
    return lock.built("pyroscope") if os.environ.get("FLAMEPLANE_PYROSCOPE") else lock
