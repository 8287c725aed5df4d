"""A copy of the project with a Pulumi of its own: state, plugins and settings lie in one temporary folder.

A copy, because `pulumi stack init` writes its salt into the settings file. The user's login, state, plugins and cluster
are out of reach: the program gets an explicit kubeconfig, which is an empty file unless a test names a cluster.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LEFT_OUT: Final = (".*", "__pycache__", "venv", "node_modules", "tests", "benchmarks", "docs", "*.egg-info")
PLUGINS: Final = ("pulumi", "pulumi-language-python")
# Environments whose cloud account a preview may ask, with the credentials that the caller has for it.
OFFERED_CLOUDS: Final = tuple(filter(None, os.environ.get("FLAMEPLANE_ENGINE_CLOUD", "").split(",")))
TIMEOUT: Final = 1800.0  # seconds; the slowest call is `up` of 200 services


def missing() -> str:
    """Why the engine cannot run here; empty when it can."""
    absent = [name for name in PLUGINS if not shutil.which(name)]
    if absent:
        return f"{' and '.join(absent)} not on PATH: install the Pulumi CLI (https://www.pulumi.com/docs/install/)"
    return no_plugin("kubernetes")


def no_plugin(provider: str) -> str:
    """Why the provider cannot be started here; empty when it can. None is downloaded for a test."""
    program = f"pulumi-resource-{provider}"
    if shutil.which(program) or list(_pulumi_home().glob(f"plugins/resource-{provider}-v*/{program}")):
        return ""
    return f"{program} neither on PATH nor in PULUMI_HOME: run `pulumi plugin install resource {provider}`"


@dataclass(frozen=True)
class Done:
    """What one call of pulumi gave. ``events`` are the engine's own, in order."""

    code: int
    text: str
    events: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def mandatory(self) -> set[str]:
        """The mandatory policies that something broke."""
        return {event["policyName"] for event in self.of("policyEvent") if event["enforcementLevel"] == "mandatory"}

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        """The events of one kind, such as ``policyEvent``."""
        return (event[kind] for event in self.events if kind in event)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Type, operation and new inputs by URN, of everything the engine made a step for."""
        return {step["metadata"]["urn"]: step["metadata"] for step in self.of("resourcePreEvent")}

    @property
    def changes(self) -> dict[str, int]:
        """How many resources each operation had, as the summary counts them."""
        (summary,) = self.of("summaryEvent")
        return dict(summary["resourceChanges"])


class Workbench:
    """One stack of a copy of the project."""

    def __init__(self, root: Path, folder: Path, stack: str = "local", kubeconfig: Path | None = None) -> None:
        self.project, self.stack, self._calls = folder / "project", stack, 0
        self._folder = folder
        shutil.copytree(root, self.project, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (self.project / ".venv").symlink_to(sys.prefix, target_is_directory=True)
        for name in ("state", "home"):
            (folder / name).mkdir()
        plugins = _pulumi_home() / "plugins"
        if plugins.is_dir():
            (folder / "home" / "plugins").symlink_to(plugins, target_is_directory=True)
        nowhere = folder / "kubeconfig"
        nowhere.write_text("apiVersion: v1\nkind: Config\n")
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "FLAMEPLANE_")) and k != "KUBECONFIG"
        }
        self.environment = {
            **kept,
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "no secret is in any settings file",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # the engine's event log, which the Automation API reads as well
            "FLAMEPLANE_KUBECONFIG": str(kubeconfig or nowhere),
        }

    def start(self) -> "Workbench":
        """Make the stack."""
        done = self.call("stack", "init", self.stack)
        assert done.code == 0, done.text
        return self

    def call(self, *arguments: str) -> Done:
        """Any command of pulumi, in the copy."""
        started = time.monotonic()
        ran = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return Done(ran.returncode, ran.stdout, (), time.monotonic() - started)

    def run(self, operation: str, *arguments: str, pack: bool = True) -> Done:
        """preview, up, refresh or destroy, judged by the policy pack where the operation takes one."""
        self._calls += 1
        log = self._folder / f"events-{self._calls}.json"
        judged = ("--policy-pack=policies",) if pack and operation in ("preview", "up") else ()
        done = self.call(operation, f"--stack={self.stack}", f"--event-log={log}", *judged, *arguments)
        lines = log.read_text().splitlines() if log.exists() else []
        return Done(done.code, done.text, tuple(json.loads(line) for line in lines), done.seconds)


def _pulumi_home() -> Path:
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
