"""The Pulumi program: settings of one environment, everything in services/ and exports/ become one Platform."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import get_config_env
from pydantic import ValidationError

from components.platform import Platform, PlatformArgs
from flameplane import catalog
from flameplane.findings import format_findings
from schemas.images import ImagesLock, lock_here

ROOT = Path(__file__).resolve().parent
STACK_FILE = ROOT / "stacks" / f"Pulumi.{pulumi.get_stack()}.yaml"


def decoded(text: str) -> Any:
    """A value as it was written: the engine hands over JSON for all that is not text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def images() -> ImagesLock:
    """The images."""
    try:
        return lock_here(ROOT / "images.lock")
    except (OSError, ValidationError) as error:
        raise pulumi.RunError(f"images.lock cannot be used; `flameplane validate` shows where: {error}") from None


# All keys, and not those we know: a misspelt one must be found.
config = {
    key.removeprefix("flameplane:"): decoded(text) for key, text in get_config_env().items() if "flameplane:" in key
}
elsewhere = os.environ.get("FLAMEPLANE_SERVICES")
services = Path(elsewhere) if elsewhere else None
checked = catalog.check_settings(config, STACK_FILE, ROOT)
loaded = catalog.load(ROOT, services)
granted = catalog.load_grants(ROOT, loaded.catalog, services)
refused = [finding for finding in granted.findings if finding.severity == "error"]
if checked.settings is None or loaded.catalog is None or refused:
    findings = [*checked.findings, *loaded.findings, *refused]
    sys.stderr.write(format_findings(findings, "text", ROOT))
    raise pulumi.RunError(f"{len(findings)} finding(s); nothing was registered")

# `flameplane local up` says which cluster it means; the settings only propose a file.
kubeconfig = os.environ.get("FLAMEPLANE_KUBECONFIG") or checked.settings.cluster.kubeconfig
args = PlatformArgs(checked.settings, loaded.catalog, images(), str(Path(kubeconfig).expanduser()), granted.grants)
Platform("flameplane", args)
pulumi.export("environment", checked.settings.environment)
