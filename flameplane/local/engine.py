"""`pulumi up` of environment local, for machines that have pulumi: file backend and passphrase in the cache.

Asks for nothing, changes nothing of the user's Pulumi login, and leaves the settings file as it was: the passphrase
provider writes its salt into it at each run, which has no place in a work tree.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from flameplane.local.kubectl import Object
from flameplane.local.objects import Key, key
from flameplane.local.problem import Problem
from flameplane.local.steps import Say

STATE = "pulumi-state"  # folder in the cache
SERVICES_VARIABLE = "FLAMEPLANE_SERVICES"
PATCH_FORCE = "PULUMI_K8S_ENABLE_PATCH_FORCE"  # read by pulumi-kubernetes 3.23.1 and later
SALT = "encryptionsalt"
SALT_LINE = re.compile(rb"^encryptionsalt:.*\n?", re.MULTILINE)
UNDER_WAY = re.compile(r"\s*[-+~]+\s+\S+ \S+ (creating|updating|deleting|replacing)\b(?!.*\b(error|warning):)")


def find() -> Path | None:
    """The pulumi on PATH."""
    found = shutil.which("pulumi")
    return Path(found) if found else None


def forget(cache: Path) -> None:
    """Delete the state when the cluster that it speaks of is gone."""
    shutil.rmtree(cache / STATE, ignore_errors=True)


class Engine:
    """One stack of the project, in a backend of its own."""

    def __init__(self, pulumi: Path, root: Path, cache: Path, kubeconfig: Path, stack: str = "local") -> None:
        self.pulumi, self.root, self.stack = pulumi, root, stack
        self.state = cache / STATE
        self.environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": self.state.absolute().as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.state / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "FLAMEPLANE_KUBECONFIG": str(kubeconfig),
        }
        self.environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
        if services := os.environ.get(SERVICES_VARIABLE):  # the program runs in the project, we may have been elsewhere
            self.environment[SERVICES_VARIABLE] = str(Path(services).absolute())

    def select(self, cluster: str, say: Say) -> None:
        """Make or find the stack. `cluster` identifies it: the state of another one is forgotten."""
        self._prepare(cluster)
        with self._settings_kept():
            self._run(["stack", "select", "--create", self.stack], say)

    def members(self) -> dict[Key, Object]:
        """What the stack's state says of the Kubernetes objects on the cluster: the inputs they were made from.

        What of it the program no longer declares, `pulumi up` deletes.
        """
        with self._settings_kept():
            exported = self._output(["stack", "export", f"--stack={self.stack}"])
        resources = json.loads(exported)["deployment"].get("resources") or []
        objects = [
            resource["inputs"]
            for resource in resources
            if resource["type"].startswith("kubernetes:") and resource.get("custom") and not resource.get("delete")
        ]
        return {key(item): item for item in objects}

    def up(self, say: Say, force: bool = False) -> None:
        """`pulumi up` with the policy pack.

        With `force`, fields that someone else changed are taken back: found by a refresh, since the engine compares
        with its state, and written over the other field manager, as the provider's own setting has it.
        """
        arguments = ["up", "--yes", "--skip-preview", "--suppress-progress", f"--stack={self.stack}"]
        arguments.append("--policy-pack=policies")
        if force:
            arguments.append("--refresh")
        with self._settings_kept():
            self._run(arguments, say, {PATCH_FORCE: "true"} if force else {})

    def _prepare(self, cluster: str) -> None:
        known = self.state / "cluster"
        if known.exists() and known.read_text() != cluster:
            shutil.rmtree(self.state)
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        known.write_text(cluster)
        passphrase = self.state / "passphrase"
        if not passphrase.exists():
            with os.fdopen(os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
                handle.write(secrets.token_urlsafe(32))

    @contextmanager
    def _settings_kept(self) -> Iterator[None]:
        """Take the salt out of the settings again; what somebody wrote there meanwhile stays."""
        file = self.root / "stacks" / f"Pulumi.{self.stack}.yaml"
        before = file.read_bytes()
        try:
            yield
        finally:
            after = file.read_bytes()
            if after != before:
                file.write_bytes(before if _settings(after) == _settings(before) else SALT_LINE.sub(b"", after))

    def _command(self, arguments: list[str]) -> list[str]:
        return [str(self.pulumi), *arguments, "--non-interactive", "--color=never"]

    def _output(self, arguments: list[str]) -> str:
        """What pulumi prints, for reading."""
        done = subprocess.run(
            self._command(arguments),
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            message = f"`pulumi {' '.join(arguments[:2])}` ended with code {done.returncode}:"
            raise Problem("LOC009", message, "correct what it names and run it again", said[-15:])
        return done.stdout

    def _run(self, arguments: list[str], say: Say, more: Mapping[str, str] = MappingProxyType({})) -> None:
        """Run pulumi and pass on what it prints, line by line; of each object the end alone, and what went wrong."""
        with subprocess.Popen(
            self._command(arguments),
            cwd=self.root,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() and not UNDER_WAY.match(line):
                    say(line.rstrip())
        if process.returncode:
            raise Problem(
                "LOC009",
                f"`pulumi {arguments[0]}` ended with code {process.returncode}; what it printed is above.",
                "correct what it names and run it again, or use --without-pulumi",
            )


def _settings(data: bytes) -> Any:
    """What a settings file says beside the salt; what is no YAML is told by others."""
    try:
        document = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError):
        return data
    return {k: v for k, v in document.items() if k != SALT} if isinstance(document, dict) else document
