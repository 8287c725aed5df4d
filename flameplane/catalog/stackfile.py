"""A stack file of Pulumi's as a tree: which of its keys are settings, what else stands there, secrets left out."""

from dataclasses import replace

from flameplane import tokens
from flameplane.catalog.report import Report
from flameplane.catalog.shape import fields
from flameplane.catalog.suggest import closest
from flameplane.catalog.tree import Node, lost
from flameplane.catalog.tree import Path as KeyPath
from schemas.settings import Settings

PROJECT = "flameplane"
_ROTATE = "Revoke it: whoever reads the repository has it. Then name the Kubernetes Secret that holds the new one."
# Keys that Pulumi itself writes beside `config`.
_PULUMI_KEYS = ("config", "secretsprovider", "encryptionsalt", "encryptedkey", "environment")
# What Pulumi reads of its own prefix.
_PULUMI_SETTINGS = ("disable-default-providers", "tags", "autonaming")
_PROVIDERS = {"kubernetes": "Kubernetes", "aws": "AWS"}
# Pulumi itself reads and writes these as texts when they are no part of a map: at `stack init` and at `config set`.
_QUOTED_BY_PULUMI = {"true": True, "false": False}


def values_of(tree: Node, report: Report) -> Node | None:
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
    return _settings(config, report)


def _settings(config: Node, report: Report) -> Node:
    """The settings below ``config``; keys of other prefixes are reported."""
    values: dict[str, Node] = {}
    assert isinstance(config.value, dict)
    unsure, own = config.unsure, dict[str, Node]()
    for key, node in config.value.items():
        prefix, _, name = key.partition(":")
        if not name or prefix not in (PROJECT, "pulumi"):
            if name and prefix != PROJECT and (tokens.holds(name) or tokens.kind(str(node.value))):
                _leaked(f"{key} holds a secret", node, report)
                continue
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
    if guess == PROJECT:
        name = closest(name, fields(Settings)) or name
    if guess or name in fields(Settings):
        guess = guess or PROJECT
        return name if guess == PROJECT else "", f"Write {guess}:{name}"
    return "", f"Delete it: providers are set up from {PROJECT}:cluster and {PROJECT}:cloud alone."


def _default_provider(config: Node, node: Node | None, report: Report) -> None:
    """Report default providers that are not disabled by ``node``."""
    disabled = node.data() if node and isinstance(node.value, list) else ()
    name = config.child(f"{PROJECT}:environment")  # that local has no cloud account is told as SET071
    cloud = config.child(f"{PROJECT}:cloud") and (name is None or name.value != "local")
    needed = ["kubernetes", "aws"] if cloud else ["kubernetes"]
    missing = [_PROVIDERS[name] for name in needed if name not in disabled]
    if not missing or (config.unsure and node is None) or (node and any(lost(node))):
        return
    if len(missing) == 1:
        message = f"the default {missing[0]} provider is not disabled"
    else:
        message = f"the default providers of {' and '.join(missing)} are not disabled"
    fix = f"Set `pulumi:disable-default-providers: [{', '.join(needed)}]`."
    report.add("062", message, node.where if node else config.where, fix=fix)


def without_secrets(node: Node, path: KeyPath, report: Report) -> Node:
    """Report secrets and read each as some text: ``secure: ...``, which ``pulumi config set --secret`` writes, and what
    looks like a token. Their values are not printed.
    """
    if node.lost:
        return node
    if isinstance(node.value, list):
        return replace(node, value=[without_secrets(v, (*path, i), report) for i, v in enumerate(node.value)])
    if isinstance(node.value, str) and path and (what := tokens.kind(node.value, path)):
        _leaked(f"{report.show(path)} holds {what}", node, report)
        return Node("secret", node.at, node.key, lost=True)
    if not isinstance(node.value, dict):
        return node
    if (secure := node.value.get("secure")) and path:
        report.add("060", f"{report.show(path)} is an encrypted value; settings only ever name secrets", secure.key)
        return Node("secret", node.at, node.key, lost=True)
    return replace(node, value={key: without_secrets(v, (*path, key), report) for key, v in node.value.items()})


def _leaked(message: str, node: Node, report: Report) -> None:
    """Report a secret in plain text. The place ends before it, and what is shown of the line does so too."""
    at = node.key or replace(node.at, end_column=None)
    report.add("060", f"{message}; settings only ever name secrets", at, fix=_ROTATE)
