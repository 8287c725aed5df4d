"""Project, stack and configuration as the engine would hand them to the program.

Follows pkg/workspace/config.go of Pulumi: keys without a namespace belong to the project, values that are no text
arrive as JSON, defaults of Pulumi.yaml fill what the stack file leaves out. Secrets are refused: settings name them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flameplane.plan.recording import ProgramFailed


@dataclass(frozen=True)
class Stack:
    """What the program is told about itself."""

    project: str
    name: str
    config: dict[str, str]
    root: Path  # of the project
    organization: str = "organization"  # what the engine says with a backend that has no organisations

    @property
    def disabled_default_providers(self) -> frozenset[str]:
        """Packages whose resources must name their provider (``pulumi:disable-default-providers``)."""
        return frozenset(json.loads(self.config.get("pulumi:disable-default-providers", "[]")))

    def urn(self, kind: str, name: str, parent: str | None) -> str:
        """URN of a resource: the types of its ancestors but for the stack, then its own."""
        ancestry = parent.split("::")[2] + "$" if parent else ""
        if ancestry == "pulumi:pulumi:Stack$":
            ancestry = ""
        return f"urn:pulumi:{self.name}::{self.project}::{ancestry}{kind}::{name}"


def load_stack(root: Path, name: str) -> Stack:
    """Read Pulumi.yaml and the stack's file. Raises ``ProgramFailed`` where the engine would stop as well."""
    project = _read(root / "Pulumi.yaml", root)
    title = project.get("name")
    if not isinstance(title, str) or not title:
        raise ProgramFailed("Pulumi.yaml: name: the name of the project is missing, or no text")
    folder = _settings_folder(project, root)
    file = folder / f"Pulumi.{name}.yaml"
    if not file.is_file():
        known = sorted(f.name.removeprefix("Pulumi.").removesuffix(".yaml") for f in folder.glob("Pulumi.*.yaml"))
        raise ProgramFailed(
            f"there is no stack {name!r}: {file.relative_to(root).as_posix()} does not exist; "
            f"stacks of this project: {', '.join(known) or 'none'}"
        )
    config: dict[str, str] = {}
    shown = file.relative_to(root).as_posix()
    for key, value in _config(_read(file, root), shown).items():
        where = f"{shown}: {key}"
        if isinstance(value, dict) and set(value) == {"secure"}:
            raise ProgramFailed(
                f"{where} is a secret; name a Kubernetes Secret or a secret store instead of holding the value"
            )
        config[_key(str(key), title)] = _text(value, where)
    for key, declared in _config(project, "Pulumi.yaml").items():
        fallback = declared.get("default", declared.get("value")) if isinstance(declared, dict) else declared
        if fallback is not None:
            config.setdefault(_key(str(key), title), _text(fallback, f"Pulumi.yaml: {key}"))
    return Stack(title, name, config, root)


def _settings_folder(project: dict[str, Any], root: Path) -> Path:
    """Where the stacks' files lie; the engine takes even an absolute path as one below the project."""
    named = project.get("stackConfigDir") or "."
    if not isinstance(named, str) or Path(named).is_absolute() or ".." in Path(named).parts:
        raise ProgramFailed(f"Pulumi.yaml: stackConfigDir is {named!r}; it has to be a folder of the project: stacks")
    return root / named


def _config(document: dict[str, Any], shown: str) -> dict[Any, Any]:
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise ProgramFailed(f"{shown}: config is not a map")
    return config


def _key(key: str, project: str) -> str:
    """``namespace:name``; the old spelling ``namespace:config:name`` means the same."""
    namespace, _, rest = key.rpartition(":")
    return f"{namespace.removesuffix(':config') or project}:{rest}"


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except TypeError:
        raise ProgramFailed(f"{where}: a date, or a key that is not text (on, yes and no are not); quote it") from None
    except (ValueError, RecursionError):
        raise ProgramFailed(f"{where}: holds itself, or is nested too deeply; write it without anchors") from None


def _read(file: Path, root: Path) -> dict[str, Any]:
    shown = file.relative_to(root).as_posix()
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ProgramFailed(f"{shown} does not exist; run this from a folder of the project") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ProgramFailed(f"{shown} cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ProgramFailed(f"{shown}{at}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a control character; a date such as 2026-13-01
        raise ProgramFailed(f"{shown}: not valid YAML: {' '.join(str(error).split())}") from None
    if content is not None and not isinstance(content, dict):
        raise ProgramFailed(f"{shown}: not a map")
    return content or {}
