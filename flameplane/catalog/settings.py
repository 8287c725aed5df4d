"""Settings of one environment: ``stacks/Pulumi.<environment>.yaml`` read strictly, or what Pulumi has read already."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flameplane.catalog.check import examine
from flameplane.catalog.files import ordinary_folder, readable, relative
from flameplane.catalog.report import Report
from flameplane.catalog.shared import apart
from flameplane.catalog.sources import Sources
from flameplane.catalog.stackfile import PROJECT, values_of, without_secrets
from flameplane.catalog.strict import read
from flameplane.catalog.suggest import closest
from flameplane.catalog.tree import Node, changed, graft
from flameplane.catalog.tree import Path as KeyPath
from flameplane.findings import Finding, Location, in_order
from schemas.settings import Settings
from schemas.settings.environments import ENVIRONMENTS

FOLDER = "stacks"
_NO_FILE = "this is no ordinary file; links would let settings change without a change here"


@dataclass(frozen=True)
class LoadedSettings:
    """The settings, or None when anything is wrong; what is wrong; where every value came from (kind ``settings``)."""

    settings: Settings | None
    findings: list[Finding]
    sources: Sources


def load_settings(root: Path, stack: str, alone: bool = False) -> LoadedSettings:
    """The settings file of ``stack``, held against those of the other environments unless it is looked at ``alone``."""
    path = root / FOLDER / f"Pulumi.{stack}.yaml"
    name = f"{FOLDER}/{path.name}"
    report = Report("SET", ("config", f"{PROJECT}:"))
    if (root / FOLDER).is_dir() and not ordinary_folder(root / FOLDER, FOLDER, report):
        return LoadedSettings(None, report.findings, Sources())
    if (path.is_symlink() or path.exists()) and not _ordinary(path):
        report.add("040", _NO_FILE, Location(name, 1, 1), fix="Replace it by a file.")
        return LoadedSettings(None, report.findings, Sources())
    if not path.is_file():
        known = stacks(root)
        guess = closest(stack, known)
        fix = f"Did you mean {guess}?" if guess else f"Add {name}."
        report.add("066", f"there is no {name}", Location(name, 1, 1), valid=tuple(known), fix=fix)
        return LoadedSettings(None, report.findings, Sources())
    tree = read(path, name, report)
    values = values_of(tree, report) if tree else None
    return _checked(values, name, stack, report, {} if alone else _others(root, stack))


def check_settings(values: Mapping[str, Any], file: Path, root: Path) -> LoadedSettings:
    """Values that Pulumi has read (``{"cluster": {...}, ...}``) of the stack file ``file``, checked alike.

    Places are taken from the file as far as it has the value; values may also come from ``pulumi config set`` or
    ``--config``.
    """
    linked, root, file = file.is_symlink(), root.resolve(), file.parent.resolve() / file.name
    name = relative(file, root)
    report = Report("SET", ("config", f"{PROJECT}:"))
    if linked:
        report.add("040", _NO_FILE, Location(name, 1, 1), fix="Replace it by a file.")
        return LoadedSettings(None, report.findings, Sources())
    written = read(file, name, report) if file.is_file() else None
    like = values_of(written, report) if written else None
    if like:  # Pulumi hands over what it has decrypted
        like = without_secrets(like, (), report)
    stack = _stack(file)
    return _checked(graft(dict(values), like, Location(name, 1, 1)), name, stack, report, _others(root, stack))


def shared(root: Path) -> list[Finding]:
    """What the environments of a project share and must not; each pair is told once."""
    report = Report("SET", ("config", f"{PROJECT}:"))
    apart(_others(root), report)
    return report.findings


def strays(root: Path) -> list[Finding]:
    """What is wrong with stacks/ itself, and files there that no environment reads, such as Pulumi.prod.yml."""
    report, folder = Report("SET"), root / FOLDER
    if folder.exists() and not folder.is_dir():
        report.add("040", f"{FOLDER} is no folder", Location(FOLDER, 1, 1))
    elif (folder.is_symlink() or folder.is_dir()) and not ordinary_folder(folder, FOLDER, report):
        return report.findings
    known = stacks(root)
    for path in sorted(folder.glob("*.y*ml")):
        if _stack(path) not in known:
            message = f"no environment reads this file; {FOLDER}/ holds Pulumi.<environment>.yaml"
            report.add("040", message, Location(relative(path, root), 1, 1))
    return report.findings


def _others(root: Path, stack: str = "") -> dict[str, Node]:
    """The values of every environment but ``stack``; what is wrong in their files is told when they are checked."""
    trees = {}
    for other in stacks(root):
        name = f"{FOLDER}/Pulumi.{other}.yaml"
        ignored = Report("SET")
        tree = read(root / name, name, ignored) if other != stack and _ordinary(root / name) else None
        if tree and (values := values_of(tree, ignored)):
            trees[other] = values
    return trees


def stacks(root: Path) -> list[str]:
    """Names of the environments that have a settings file, whatever is wrong with it."""
    folder = root / FOLDER
    if folder.is_symlink() or not readable(folder):  # told by `strays`
        return []
    return sorted(stack for p in folder.glob("Pulumi.*.yaml") if (stack := _stack(p)))


def _ordinary(file: Path) -> bool:
    """Whether it can be read without following a link, or waiting for a pipe."""
    return file.is_file() and not file.is_symlink()


def _stack(file: Path) -> str:
    return file.name.removeprefix("Pulumi.").removesuffix(".yaml")


def _named(values: Node, stack: str, report: Report) -> Node:
    """The values with the environment that the file is called after."""
    node = values.child("environment")
    if node is None or node.value == stack or node.value not in ENVIRONMENTS:
        return values
    message = f"environment is {node.value} in the file of {stack}"
    report.add("061", message, node.where, valid=(stack,), fix=f"Write {stack}")
    return changed(values, ("environment",), replace(node, value=stack)) if stack in ENVIRONMENTS else values


def _checked(values: Node | None, name: str, stack: str, report: Report, others: Mapping[str, Node]) -> LoadedSettings:
    sources = Sources()
    settings: Settings | None = None
    if values:
        values = without_secrets(values, (), report)
        sources.add("settings", stack, name, values)
        # Rules that depend on the environment go by the file's name where the value is wrong.
        hints: dict[KeyPath, str] = {("environment",): stack} if stack in ENVIRONMENTS else {}
        settings = examine(Settings, _named(values, stack, report), report, hints=hints).model
        apart({**others, stack: values}, report, only=stack)
    findings = in_order(report.findings)
    return LoadedSettings(None if findings else settings, findings, sources)
