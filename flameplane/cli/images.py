"""`flameplane images`: build the images of our own programs, and fill images.lock with digests from a registry."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from flameplane.cli.root import project
from schemas.images import LOCAL_ONLY, ImagesLock, read_lock

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")  # OCI distribution specification


def register(app: typer.Typer) -> None:
    """Add the commands."""
    images = typer.Typer(no_args_is_help=True, help="The images that the platform runs.")
    images.command()(build)
    images.command()(lock)
    app.add_typer(images, name="images")


def build(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Entries of images.lock that are built here.")],
) -> None:
    """Build images of this repository, without a daemon, and say where the archives are. They are for this machine's
    architecture; what pushes archives to a registry (skopeo, crane, docker load) is yours.

    Exit codes: 0 built, 2 usage, 3 a build failed.
    """
    from local import LocalError, images  # noqa: PLC0415
    from local.images.recipes import buildable  # noqa: PLC0415

    recipes = buildable()
    if unknown := [name for name in names if name not in recipes]:
        message = f"{', '.join(unknown)} cannot be built here; one of {', '.join(recipes)}"
        raise typer.BadParameter(message, param_hint="NAME")
    for name in dict.fromkeys(names):
        try:
            archive = images.build(name, recipes[name])
        except LocalError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(3) from error
        typer.echo(f"{name}  docker-archive:{archive}")


def lock(
    wanted: Annotated[list[str], typer.Argument(metavar="NAME=TAG...", help="Entries of images.lock and their tags.")],
    registry: Annotated[str, typer.Option(help="host[:port][/path] that holds the repositories, as in the settings.")],
) -> None:
    """Resolve tags to digests and write images.lock; nothing is written unless every tag was found.

    Exit codes: 0 written, 1 images.lock has findings, 2 usage, 3 the registry did not tell.
    """
    from flameplane.registry import NoAddress, RegistryError, check_address, digest  # noqa: PLC0415

    try:
        check_address(registry)
    except NoAddress as error:
        raise typer.BadParameter(str(error), param_hint="--registry") from error
    file, current = _current()
    tags = _tags(wanted, current)
    images = dict(current.images)
    for name, tag in tags.items():
        image = images[name]
        try:
            found = digest(registry, image.repository, tag)
        except RegistryError as error:
            typer.echo(f"images.lock is unchanged: {error}", err=True)
            raise typer.Exit(3) from error
        # What an entry waited for is no longer true once it is locked.
        images[name] = image.model_copy(update={"digest": found, "what": image.what.partition(" Open:")[0]})
        typer.echo(f"{name}  {registry}/{image.repository}:{tag}  {found}")
    partial = file.with_suffix(".partial")
    partial.write_text(text_of(ImagesLock(version=1, images=images)))
    partial.replace(file)


def _current() -> tuple[Path, ImagesLock]:
    """images.lock of the project around the working folder; what is wrong with it ends the command."""
    root = project()
    from flameplane.catalog.project import LOCK, check_lock  # noqa: PLC0415
    from flameplane.findings import format_findings  # noqa: PLC0415

    if findings := check_lock(root):
        typer.echo(format_findings(findings, "text", root), err=True, nl=False)
        raise typer.Exit(1)
    return root / LOCK, read_lock(root / LOCK)


def text_of(lock_file: ImagesLock) -> str:
    """images.lock as it is written: one line an image, so that a changed digest is a changed line."""
    entries = (
        f"    {json.dumps(name)}: {json.dumps(image.model_dump(by_alias=True, exclude_defaults=True))}"
        for name, image in lock_file.images.items()
    )
    return '{\n  "version": 1,\n  "images": {\n' + ",\n".join(entries) + "\n  }\n}\n"


def _tags(wanted: list[str], current: ImagesLock) -> dict[str, str]:
    """Tags by entry. Each entry once: which of two tags was meant is not ours to guess."""
    tags: dict[str, str] = {}
    for text in wanted:
        name, tag = _pair(text, current)
        if name in tags:
            raise typer.BadParameter(f"{name} is named twice: {tags[name]} and {tag}", param_hint="NAME=TAG")
        tags[name] = tag
    return tags


def _pair(text: str, current: ImagesLock) -> tuple[str, str]:
    name, equals, tag = text.partition("=")
    if not equals or not TAG.fullmatch(tag):
        raise typer.BadParameter(f"{text} is not NAME=TAG", param_hint="NAME=TAG")
    if name not in current.images:
        raise typer.BadParameter(
            f"images.lock has no {name}; one of {', '.join(current.images)}", param_hint="NAME=TAG"
        )
    if name in LOCAL_ONLY:
        raise typer.BadParameter(f"{name} is built by local/ and never pulled", param_hint="NAME=TAG")
    return name, tag
