"""The Pulumi program: settings of one environment and everything in services/ become one Platform."""

import json
import os
import sys
from pathlib import Path

import pulumi

from components.platform import Platform, PlatformArgs
from flameplane import catalog
from flameplane.findings import Finding, format_findings
from schemas.images import ImagesLock
from schemas.settings import Settings

ROOT = Path(__file__).resolve().parent
STACK_FILE = ROOT / "stacks" / f"Pulumi.{pulumi.get_stack()}.yaml"


def stop(findings: list[Finding]) -> None:
    """Say what is wrong and end before anything is registered."""
    sys.stderr.write(format_findings(findings, "text", ROOT))
    raise pulumi.RunError(f"{len(findings)} finding(s) in the declared files")


def configured() -> dict[str, object]:
    """The stack's values by the settings' own names; the engine hands over JSON for all that is not text."""
    config = pulumi.Config("flameplane")
    values = {name: config.get(name) for name in (field.alias or "" for field in Settings.model_fields.values())}
    texts = {"environment"}
    return {name: value if name in texts else json.loads(value) for name, value in values.items() if value is not None}


loaded = catalog.check_settings(configured(), STACK_FILE, ROOT)
services = os.environ.get("FLAMEPLANE_SERVICES")
declared = catalog.load(ROOT, Path(services) if services else None)
if loaded.settings is None or declared.catalog is None:
    stop([*loaded.findings, *declared.findings])
else:
    lock = ImagesLock.model_validate_json((ROOT / "images.lock").read_text())
    kubeconfig = os.environ.get("FLAMEPLANE_KUBECONFIG") or loaded.settings.cluster.kubeconfig
    platform = Platform(
        "flameplane", PlatformArgs(loaded.settings, declared.catalog, lock, str(Path(kubeconfig).expanduser()))
    )
    pulumi.export("environment", loaded.settings.environment)
