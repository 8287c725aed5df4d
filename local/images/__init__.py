"""The images that can be built on this machine, as archives in the cache.

Each archive is keyed by what it was built from, so it is built once and rebuilt when its sources or packages change.
"""

import re
from pathlib import Path

from local import cache
from local.cluster.progress import Progress, silent, step
from local.images.archive import assemble
from local.images.recipes import Recipe, buildable

REGISTRY = "localhost/flameplane"
TAG = "local"


def reference(repository: str) -> str:
    """The name under which the cluster runs the image; no registry serves it, so it is never pulled."""
    return f"{REGISTRY}/{repository}:{TAG}"


def build_all(progress: Progress = silent) -> dict[str, Path]:
    """Repository -> archive, of every image that can be built here."""
    archives = {}
    for repository, recipe in buildable().items():
        with step(progress, f"image {repository}"):
            archives[repository] = build(repository, recipe)
    return archives


def build(repository: str, recipe: Recipe) -> Path:
    """The archive of one image; older archives of the same image are removed."""
    folder = cache.root() / "images"
    code = cache.tree(Path(__file__).parent)  # a changed recipe makes another image
    target = folder / f"{repository}-{cache.key(code, *recipe.made_of())}.tar"

    def make(partial: Path) -> None:
        with recipe.compose() as image:
            assemble(
                partial,
                reference(repository),
                image.entries,
                entrypoint=image.entrypoint,
                workdir=image.workdir,
                env=image.env,
                capabilities=image.capabilities,
            )

    cache.build_once(target, make)
    archive_of = re.compile(rf"{re.escape(repository)}-[0-9a-f]{{{cache.KEY_LENGTH}}}\.tar")
    for other in folder.iterdir():
        if other != target and archive_of.fullmatch(other.name):
            cache.remove(other)
    return target
