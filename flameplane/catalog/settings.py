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
_FILES = tuple(f"Pulumi.{name}.yaml" for name in ENVIRONMENTS)
_NO_FILE = "this is no ordinary file; links would let settings change without a change here"


@dataclass(frozen=True)
class LoadedSettings:
    """The settings, or None when anything is wrong; what is wrong; where every value came from (kind ``settings``)."""

    settings: Settings | None
    findings: list[Finding]
    sources: Sources


def load_settings(root: Path, stack: str, alone: bool = False) -> LoadedSettings:
    """The settings file of ``stack``; what it shares with others is told unless it is looked at ``alone``."""
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
    return _checked(values, name, stack, report=report, others=_others(root, stack), alone=alone)


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
    return _checked(
        graft(dict(values), like, Location(name, 1, 1)), name, stack, report=report, others=_others(root, stack)
    )


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
    for path in sorted(folder.glob("*.y*ml")):
        if path.name not in _FILES:
            message = f"no environment reads this file; {FOLDER}/ holds Pulumi.<environment>.yaml"
            guess = closest(path.name, _FILES)
            fix = f"Rename it to {guess}, or delete it." if guess and not (folder / guess).exists() else "Delete it."
            report.add("040", message, Location(relative(path, root), 1, 1), valid=_FILES, fix=fix)
    return report.findings


def absent(root: Path) -> list[Finding]:
    """Environments without a settings file: whoever deletes one would have it neither checked nor reviewed."""
    report, known, folder = Report("SET"), stacks(root), root / FOLDER
    if (folder.is_symlink() or folder.exists()) and not ordinary_folder(folder, FOLDER, Report("SET")):
        return []  # of a folder that cannot be read, `strays` tells
    if not known:
        message = f"{FOLDER}/ holds the settings of no environment"
        fix = f"Add {FOLDER}/Pulumi.<environment>.yaml for {', '.join(ENVIRONMENTS)}."
        report.add("066", message, Location(FOLDER, 1, 1), fix=fix)
        return report.findings
    for name in (name for name in ENVIRONMENTS if name not in known):
        file = f"{FOLDER}/Pulumi.{name}.yaml"
        report.add("066", f"there is no {file}", Location(file, 1, 1), fix=f"Add {file}, or restore it.")
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
    """Environments that have a settings file, whatever is wrong with it."""
    folder = root / FOLDER
    if folder.is_symlink() or not readable(folder):  # told by `strays`
        return []
    return sorted(_stack(path) for path in folder.glob("Pulumi.*.yaml") if path.name in _FILES)


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
    if stack not in ENVIRONMENTS:
        report.add("061", f"{stack} is no environment", node.where, valid=ENVIRONMENTS, fix="Name the stack after one.")
        return values
    message = f"environment is {node.value} in the file of {stack}"
    report.add("061", message, node.where, valid=(stack,), fix=f"Write {stack}")
    return changed(values, ("environment",), replace(node, value=stack))


def _accounted(values: Node, others: Mapping[str, Node], report: Report) -> Node:
    """The values with the account that its roles are of, where what stands there is another environment's.

    Roles of one account, which no other environment names, tell whose the account is: the number was copied.
    """
    at = ("cloud", "accountId")
    node, roles = values.find(at), values.find(("cloud", "adminRoleArns"))
    if node is None or node.lost or roles is None or not isinstance(roles.value, list):
        return values
    accounts = {str(role.value).split(":")[4] for role in roles.value if str(role.value).count(":") > 4}
    theirs = {name: there for name, tree in others.items() if (there := tree.find(at))}
    taken = [(name, there) for name, there in theirs.items() if there.value == node.value]
    own = next(iter(accounts), "")
    if len(accounts) != 1 or own == node.value or not taken or own in [there.value for there in theirs.values()]:
        return values
    (name, there), fix = taken[0], f'Write "{own}", the account of adminRoleArns.'
    message = f"{node.value} is the account of {name} ({there.where}), and the roles here are of {own}"
    report.add("078", message, node.where, valid=(own,), fix=fix, related=(there.where, roles.where))
    return changed(values, at, replace(node, value=own))


def _checked(
    values: Node | None, name: str, stack: str, *, report: Report, others: Mapping[str, Node], alone: bool = False
) -> LoadedSettings:
    sources = Sources()
    settings: Settings | None = None
    if values:
        values = without_secrets(values, (), report)
        sources.add("settings", stack, name, values)
        # Rules that depend on the environment go by the file's name where the value is wrong.
        hints: dict[KeyPath, str] = {("environment",): stack} if stack in ENVIRONMENTS else {}
        named = _accounted(_named(values, stack, report), others, report)
        settings = examine(Settings, named, report, hints=hints).model
        if not alone:
            apart({**others, stack: values}, report, only=stack)
    findings = in_order(report.findings)
    return LoadedSettings(None if findings else settings, findings, sources)
