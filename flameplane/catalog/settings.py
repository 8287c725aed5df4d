"""Settings of one environment: ``stacks/Pulumi.<environment>.yaml`` read strictly, or what Pulumi has read already."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flameplane.catalog.check import examine
from flameplane.catalog.files import ordinary_folder, readable, relative
from flameplane.catalog.report import Report
from flameplane.catalog.shape import fields
from flameplane.catalog.shared import apart
from flameplane.catalog.sources import Sources
from flameplane.catalog.strict import read
from flameplane.catalog.suggest import closest
from flameplane.catalog.tree import Node, changed, graft, lost
from flameplane.catalog.tree import Path as KeyPath
from flameplane.findings import Finding, Location, in_order
from schemas.settings import Settings
from schemas.settings.environments import ENVIRONMENTS

PROJECT = "flameplane"
FOLDER = "stacks"
_NO_FILE = "this is no ordinary file; links would let settings change without a change here"
# Keys that Pulumi itself writes beside `config`.
_PULUMI_KEYS = ("config", "secretsprovider", "encryptionsalt", "encryptedkey", "environment")
# What Pulumi reads of its own prefix.
_PULUMI_SETTINGS = ("disable-default-providers", "tags", "autonaming")
_PROVIDERS = {"kubernetes": "Kubernetes", "aws": "AWS"}
# Pulumi itself reads and writes these as texts when they are no part of a map: at `stack init` and at `config set`.
_QUOTED_BY_PULUMI = {"true": True, "false": False}


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
    values = _values(tree, report) if tree else None
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
    like = _values(written, report) if written else None
    if like:  # Pulumi hands over what it has decrypted
        like = _without_secrets(like, (), report)
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
        if tree and (values := _values(tree, ignored)):
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


def _values(tree: Node, report: Report) -> Node | None:
    """``config`` without the project's prefix: the settings as the model has them."""
    if not isinstance(tree.value, dict):
        report.add("022", "a settings file is a map with the key config", tree.where)
        return None
    config = tree.child("config")
    for key, node in tree.value.items():
        if key not in _PULUMI_KEYS:
            guess = closest(key, _PULUMI_KEYS)
            if config is None and isinstance(node.value, dict):
                config, guess = node, "config"
            report.add(
                "020", f"unknown key {key}", node.key, valid=("config",), fix=f"Did you mean {guess}?" if guess else ""
            )
    if (config and config.lost) or (config is None and tree.unsure):
        return None
    if config is None or not isinstance(config.value, dict):
        at = config.where if config else tree.where
        report.add("021", "config is missing", at, fix=f"Add:\nconfig:\n  {PROJECT}:environment: dev")
        return None
    values: dict[str, Node] = {}
    unsure, own = config.unsure, dict[str, Node]()
    for key, node in config.value.items():
        prefix, _, name = key.partition(":")
        if not name or prefix not in (PROJECT, "pulumi"):
            meant, fix = _meant(prefix, name)
            report.add("020", f"unknown key {key}: settings are {PROJECT}:<name>", node.key, fix=fix)
            if meant:
                values.setdefault(meant, node)  # read as what was meant, so that it is not missing as well
            unsure |= not meant
        elif prefix == PROJECT:
            values[name] = replace(node, value=_QUOTED_BY_PULUMI.get(node.text, node.value))
        else:
            guess = name if name in _PULUMI_SETTINGS else closest(name, _PULUMI_SETTINGS)
            if guess != name:
                fix = f"Did you mean pulumi:{guess}?" if guess else ""
                valid = tuple(f"pulumi:{known}" for known in _PULUMI_SETTINGS)
                report.add("020", f"unknown key {key}", node.key, valid=valid, fix=fix)
            unsure |= guess is None
            own.setdefault(guess or name, node)
    _default_provider(replace(config, unsure=unsure), own.get("disable-default-providers"), report)
    return replace(config, value=values, unsure=unsure)


def _meant(prefix: str, name: str) -> tuple[str, str]:
    """The setting that ``prefix:name`` or ``prefix`` alone stands for, if any, and what to do."""
    if not name and (setting := closest(prefix, fields(Settings))):
        return setting, f"Write {PROJECT}:{setting}"
    guess = closest(prefix, (PROJECT, "pulumi")) if name else None
    if guess or name in fields(Settings):
        guess = guess or PROJECT
        return name if guess == PROJECT else "", f"Write {guess}:{name}"
    return "", f"Delete it: providers are set up from {PROJECT}:cluster and {PROJECT}:cloud alone."


def _default_provider(config: Node, node: Node | None, report: Report) -> None:
    """Report default providers that are not disabled by ``node``."""
    disabled = node.data() if node and isinstance(node.value, list) else ()
    needed = ["kubernetes", "aws"] if config.child(f"{PROJECT}:cloud") else ["kubernetes"]
    missing = [_PROVIDERS[name] for name in needed if name not in disabled]
    if not missing or (config.unsure and node is None) or (node and any(lost(node))):
        return
    if len(missing) == 1:
        message = f"the default {missing[0]} provider is not disabled"
    else:
        message = f"the default providers of {' and '.join(missing)} are not disabled"
    fix = f"Set `pulumi:disable-default-providers: [{', '.join(needed)}]`."
    report.add("062", message, node.where if node else config.where, fix=fix)


def _without_secrets(node: Node, path: KeyPath, report: Report) -> Node:
    """Report ``secure: ...`` values, which ``pulumi config set --secret`` writes, and read each as some text."""
    if not isinstance(node.value, dict) or node.lost:
        return node
    if (secure := node.value.get("secure")) and path:
        report.add("060", f"{report.show(path)} is an encrypted value; settings only ever name secrets", secure.key)
        return Node("secret", node.at, node.key, lost=True)
    return replace(node, value={key: _without_secrets(v, (*path, key), report) for key, v in node.value.items()})


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
        values = _without_secrets(values, (), report)
        sources.add("settings", stack, name, values)
        # Rules that depend on the environment go by the file's name where the value is wrong.
        hints: dict[KeyPath, str] = {("environment",): stack} if stack in ENVIRONMENTS else {}
        settings = examine(Settings, _named(values, stack, report), report, hints=hints).model
        apart({**others, stack: values}, report, only=stack)
    findings = in_order(report.findings)
    return LoadedSettings(None if findings else settings, findings, sources)
