"""The project's environments for the engine: each as it is, and those in a cloud also without their cloud account.

Without: the same settings, but no account and the bucket at an S3 that is not AWS's, which the settings allow. So the
Kubernetes side of an environment can be previewed where the cloud's provider or credentials are missing. It proves
nothing about the cloud side.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from workbench import OFFERED_CLOUDS, Workbench, no_plugin

from flameplane.catalog import stacks

CLOUD = "flameplane:cloud"
OTHER_ENDPOINT = "s3.storage.example.com"
PROVIDER_TYPE = "pulumi:providers:"
ROOT = Path(__file__).resolve().parents[2]
STACKS = stacks(ROOT)


@dataclass(frozen=True)
class Environment:
    """One stack; ``whole`` is False where it is taken without its cloud account."""

    stack: str
    whole: bool = True

    def __str__(self) -> str:
        return self.stack if self.whole else f"{self.stack} without its cloud"

    def prepare(self, bench: Workbench) -> None:
        """Write the settings of the copy, before its stack is made."""
        if not self.whole:
            file = bench.project / "stacks" / f"Pulumi.{self.stack}.yaml"
            file.write_text(yaml.safe_dump(without_cloud(yaml.safe_load(file.read_text()))))


def without_cloud(document: dict[str, Any]) -> dict[str, Any]:
    """A settings file without the cloud account. Changes ``document``."""
    config = document["config"]
    del config[CLOUD]
    config["flameplane:backend"]["objectStorage"]["endpoint"] = OTHER_ENDPOINT
    return document


def every_environment() -> list[Environment]:
    """Every environment that has a settings file."""
    found = []
    for stack in STACKS:
        found.append(Environment(stack))
        if CLOUD in yaml.safe_load((ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]:
            found.append(Environment(stack, whole=False))
    return found


def cannot_run(environment: Environment, types: Iterable[str]) -> str:
    """Why an environment whose program registers these types cannot be previewed here; empty when it can."""
    providers = sorted({each.removeprefix(PROVIDER_TYPE) for each in types if each.startswith(PROVIDER_TYPE)})
    absent = [reason for name in providers if (reason := no_plugin(name))]
    if absent:
        return f"{environment}: {'; '.join(absent)}"
    if "aws" in providers and environment.stack not in OFFERED_CLOUDS:
        wanted = "name it in FLAMEPLANE_ENGINE_CLOUD to let the preview ask its account with the credentials at hand"
        return f"{environment}: no credentials for its cloud account; {wanted}"
    return ""
