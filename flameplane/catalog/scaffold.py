"""A new service.yaml: commented, and checked by the real validator before it is written."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from flameplane.catalog.files import SERVICE
from flameplane.catalog.loading import Loaded, load
from flameplane.catalog.published import file_name
from flameplane.catalog.shape import inline
from flameplane.findings import Finding, format_findings
from schemas.allowed import PROFILE_TYPES
from schemas.service import Service


@dataclass(frozen=True)
class NewService:
    """What a team says about its service; the rest is inherited."""

    team: str
    name: str
    language: str
    namespace: str
    selector: Mapping[str, str]
    repository: str
    slack: str | None = None
    rate: int | None = None
    types: tuple[str, ...] = field(default=())

    @property
    def path(self) -> Path:
        """Where the file belongs, from the project root."""
        return Path("services") / self.team / self.name / SERVICE


@dataclass(frozen=True)
class Drafted:
    """The text of the file, and what the validator says to it in its place: as findings and as text."""

    text: str
    findings: list[Finding]
    shown: str


def draft(root: Path, new: NewService) -> Drafted:
    """The file as it would be written, checked together with everything else that is declared below ``root``."""
    with TemporaryDirectory(prefix="flameplane-") as folder:
        copy = Path(folder)
        shutil.copytree(root / "services", copy / "services", symlinks=True)
        loaded = _with(copy, new, text := _text(new))
        service = next((s for s in loaded.catalog.services if s.name == new.name), None) if loaded.catalog else None
        if service:
            loaded = _with(copy, new, text := text + _inherited(new, service))
        return Drafted(text, loaded.findings, format_findings(loaded.findings, "text", copy))


def write(root: Path, new: NewService, text: str) -> None:
    """Write the file; raises ``FileExistsError`` rather than replace one."""
    target = root / new.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("x", encoding="utf-8") as file:
        file.write(text)


def _with(root: Path, new: NewService, text: str) -> Loaded:
    target = root / new.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return load(root)


def _text(new: NewService) -> str:
    schema = os.path.relpath(Path("schemas") / file_name("service"), new.path.parent)
    lines = [
        f"# yaml-language-server: $schema={schema}",
        "#",
        "# Each key is explained by editors and in docs/service-yaml.md. What the service gets in the end, and from",
        f"# where: flameplane explain {new.name}",
        "apiVersion: flameplane.dev/v1",
        "kind: Service",
        "metadata:",
        "  # Both are names of folders too: services/<team>/<name>/.",
        f"  name: {inline(new.name)}",
        f"  team: {inline(new.team)}",
        "  # Whose commits a regression is blamed on; only CI jobs of this repository may ask the gate for a verdict.",
        f"  repository: {inline(new.repository)}",
    ]
    if new.slack:
        lines += [
            "  # For alerts of this service; without it they go to the team's channel.",
            f"  slack: {inline(new.slack)}",
        ]
    lines += ["spec:", "  language:", f"    name: {inline(new.language)}"]
    if new.language == "go":
        lines += ["    # Where the pods serve /debug/pprof (net/http/pprof).", "    pprofPort: 6060"]
    lines += [
        "  workload:",
        f"    namespace: {inline(new.namespace)}",
        "    # A pod has to have all of these labels, and no other service may claim it.",
        "    selector:",
        *(f"      {inline(key)}: {inline(value)}" for key, value in new.selector.items()),
    ]
    if new.rate is not None or new.types:
        lines.append("  profiling:")
    if new.rate is not None:
        words = "CPU samples per second and core: 99 is the default, 19 the cheap baseline, 0 is off."
        lines += [f"    # {words}", f"    sampleRateHz: {new.rate}"]
    if new.types:
        lines += [
            f"    # {new.language} has {', '.join(PROFILE_TYPES.get(new.language, ()))}.",
            f"    types: {inline(new.types)}",
        ]
    return "\n".join(lines) + "\n"


def _inherited(new: NewService, service: Service) -> str:
    """What the service gets without saying so, ready to be taken over."""
    spec = service.spec.model_dump(mode="json", by_alias=True)
    lines = ["", "  # Inherited from team and organisation. To decide otherwise, take the # off a line and change it."]
    if new.rate is None and not new.types:
        profiling = {key: spec["profiling"][key] for key in ("sampleRateHz", "types")}
        lines.append(f"  # profiling: {inline(profiling)}")
    for section, keys in (("gate", ("topN", "windowMinutes", "mode")), ("budget", ("monthlyUsd", "storedGb"))):
        values = {key: _whole(spec[section][key]) for key in keys}
        lines.append(f"  # {section}: {inline(values)}")
    return "\n".join(lines) + "\n"


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
